"""How is it, and what about row 123: questions to the running daemon and to the database. Nothing is changed."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import orjson

from pushd import client
from pushd import story as stories
from pushd.cli import display
from pushd.cli.frame import RowId, ask_database, complete, config_option, json_option, load
from pushd.health import span
from pushd.story import Chapter, Story, what_next

_FOR_THE_PAGE = frozenset({"now", "search", "slot_seconds", "delivered", "undelivered"})
_ENDPOINT = {
    "condition": "",
    "name": "endpoint",
    "delivered": "delivered",
    "failed": "failed",
    "expired": "expired",
    "queued": "queued",
    "busy": "busy",
    "average_delay_ms": "ms",
    "last_error": "last error",
}
_CHAPTER = ("endpoint", "state", "attempts", "status", "response_ms", "claimed_at", "settled_at", "daemon")


@click.command()
@config_option
@json_option
def status(path: Path | None, *, as_json: bool) -> None:
    """Say how the running daemon is. Exit 1 unless rows are pushed as they come."""
    seen = complete(client.overview(load(path).server))
    if as_json:
        told: dict[str, Any] = {name: value for name, value in seen.items() if name not in _FOR_THE_PAGE}
        told["endpoints"] = [{k: v for k, v in each.items() if k != "course"} for each in seen["endpoints"]]
        display.show_json(told)
    else:
        display.show_lines(_in_short(seen))
        click.echo()
        display.show_table([*_ENDPOINT.values()], [[each[name] for name in _ENDPOINT] for each in seen["endpoints"]])
    click.get_current_context().exit(0 if seen["ready"] else 1)


def _in_short(seen: dict[str, Any]) -> list[tuple[str, str]]:
    figures = seen["figures"]
    last = figures["last_push_seconds"]
    return [
        ("daemon", f"{seen['name']}, pushd {seen['version']}, up for {span(seen['uptime_seconds'])}"),
        ("ready", "yes" if seen["ready"] else "no"),
        *(("reason", finding["text"]) for finding in seen["reasons"]),
        *(("warning", finding["text"]) for finding in seen["warnings"]),
        ("LISTEN", f"{'ok' if seen['listening'] else 'down'}; the doorbell is {seen['doorbell']}"),
        ("backlog", f"{figures['backlog']} rows queued, {figures['unsettled']} outcomes to be written"),
        ("pushed", f"{figures['delivered']}, " + ("none yet" if last is None else f"the last {span(last)} ago")),
        *_remedy({finding["code"] for finding in (*seen["reasons"], *seen["warnings"])}),
    ]


def _remedy(codes: set[str]) -> list[tuple[str, str]]:
    # An endpoint that refuses rows can be connected to all the same: only a sample tells.
    push = " --push" if "endpoint" in codes else ""
    return [("mend it", f"pushctl doctor{push} says how")] if codes else []


@click.command()
@config_option
@json_option
@click.argument("row_id", type=RowId())
def explain(path: Path | None, row_id: int, *, as_json: bool) -> None:
    """Tell the whole story of a row. What would be sent, too, without sending it; exit 1 if nobody knows the row."""
    config = load(path)
    story = complete(ask_database(config, lambda connection: stories.tell(connection, config, row_id)))
    if as_json:
        display.show_json(_as_json(story))
    else:
        _show(story)
    known = story.prospect.found or any(chapter.state for chapter in story.chapters)
    click.get_current_context().exit(0 if known else 1)


def _show(story: Story) -> None:
    prospect = story.prospect
    lines = [("row", str(story.row_id)), ("create_time", story.create_time or "none")]
    if prospect.age is not None:
        fresh = f"fresh for another {prospect.left}" if prospect.fresh else "stale"
        lines.append(("age", f"{prospect.age:.1f} s: {fresh} (data_expiry {prospect.data_expiry:g} s)"))
    lines.append(("candidate", f"no: {prospect.why_no_candidate}" if prospect.why_no_candidate else "yes"))
    display.show_lines(lines)
    click.echo()
    display.show_table(
        [name.replace("_", " ") for name in _CHAPTER],
        [[getattr(chapter, name) for name in _CHAPTER] for chapter in story.chapters],
    )
    for chapter in story.chapters:
        click.echo(f"\n{display.plain(chapter.endpoint)}")
        of_ledger = [("error", chapter.error)] if chapter.error else []
        display.show_lines([*of_ledger, ("next", what_next(chapter, prospect))])
    if story.body:
        click.echo("\nwould be sent:" if story.prospect.fresh else "\nwould be sent, were it fresh:")
        display.show_json(orjson.loads(story.body))


def _as_json(story: Story) -> dict[str, Any]:
    prospect = story.prospect
    return {
        "row_id": story.row_id,
        "found": prospect.found,
        "create_time": story.create_time,
        "age_seconds": prospect.age,
        "data_expiry_seconds": prospect.data_expiry,
        "fresh": prospect.fresh,
        "candidate": prospect.why_no_candidate is None,
        "why_no_candidate": prospect.why_no_candidate,
        "endpoints": [_chapter_as_json(story, chapter) for chapter in story.chapters],
        "envelope": orjson.loads(story.body) if story.body else None,
    }


def _chapter_as_json(story: Story, chapter: Chapter) -> dict[str, Any]:
    told = asdict(chapter)
    del told["endpoint_id"]
    return {**told, "webhook_id": story.webhook_id(chapter), "next": what_next(chapter, story.prospect)}
