"""What is wrong, and what mends it."""

import asyncio
from pathlib import Path

import click

from pushd import doctor as doctors
from pushd import sample
from pushd.cli import display
from pushd.cli.frame import chosen, complete, config_option, endpoint_option, json_option, load
from pushd.config import Endpoint
from pushd.doctor import Finding, Verdict


@click.command()
@config_option
@json_option
@click.option("--push", is_flag=True, help="POST a sample to each endpoint, too.")
def doctor(path: Path | None, *, as_json: bool, push: bool) -> None:
    """Say what is wrong, and what mends it. Looks over database, daemon and endpoints; exit 1 if anything fails."""
    config = load(path)
    with display.progress("looking", len(doctors.names(config, push=push))) as advance:
        findings = complete(doctors.examine(config, push=push, on_finding=advance))
    good = all(finding.verdict is not Verdict.FAILED for finding in findings)
    if as_json:
        display.show_json({"good": good, "checks": [_as_json(finding) for finding in findings]})
    else:
        display.show_table(("", "check", "found"), [(each.verdict.value, each.check, each.found) for each in findings])
        for finding in findings:
            if finding.fix and finding.verdict in {Verdict.FAILED, Verdict.WARNING}:
                click.echo(f"\n{display.plain(finding.check)}:")
                for line in finding.fix.splitlines():
                    click.echo(f"    {display.plain(line)}")
    click.get_current_context().exit(0 if good else 1)


def _as_json(finding: Finding) -> dict[str, str | None]:
    return {
        "check": finding.check,
        "verdict": finding.verdict.value,
        "found": finding.found,
        "fix": finding.fix,
    }


@click.command()
@config_option
@endpoint_option
@json_option
def send_test(path: Path | None, endpoint: str | None, *, as_json: bool) -> None:
    """POST a sample to one endpoint or to all. Nothing is recorded; exit 1 if one does not accept it."""
    answers = complete(_send(chosen(load(path), endpoint)))
    rows = [
        {
            "endpoint": answer.endpoint,
            "accepted": answer.attempt.accepted,
            "status": answer.attempt.status,
            "error": answer.attempt.error,
            "ms": round(answer.attempt.seconds * 1000, 1),
            "webhook_id": answer.webhook_id,
        }
        for answer in answers
    ]
    if as_json:
        display.show_json(rows)
    else:
        cells = [
            ("accepted" if row["accepted"] else "refused", row["endpoint"], row["status"], row["ms"], row["error"])
            for row in rows
        ]
        display.show_table(("", "endpoint", "status", "ms", "error"), cells)
    click.get_current_context().exit(0 if all(row["accepted"] for row in rows) else 1)


async def _send(endpoints: tuple[Endpoint, ...]) -> list[sample.Answer]:
    return await asyncio.gather(*map(sample.send, endpoints))
