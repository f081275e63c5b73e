"""What became of rows, looked up in the ledger."""

import csv
import re
import sys
from collections.abc import AsyncIterable, Sequence
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from pushd import history as deliveries
from pushd.cli import display
from pushd.cli.frame import RowId, ask_database, complete, config_option, endpoint_option, json_option, load
from pushd.config import Config, parse_duration
from pushd.history import COLUMNS, COUNTS, STATES, Ago, Moment, Question
from pushd.postgres import Connection

_NEWEST = 50


class _MomentType(click.ParamType[Moment]):
    """A duration ago, or a time as ISO 8601 has it; of this host's zone where it names none."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Moment:
        text = str(value)
        if re.fullmatch(r"(\d[\d.]*(ms|[smhd]))+", text):
            try:
                return Ago(parse_duration(text))
            except ValueError as error:
                self.fail(str(error), param, ctx)
        try:
            return datetime.fromisoformat(text).astimezone()
        except (ValueError, OverflowError):
            self.fail(f'{text!r} is neither a duration, like "90m", nor a time, like "2026-01-31T08:00"', param, ctx)


@click.command()
@config_option
@json_option
@endpoint_option
@click.option("--row", "row_id", type=RowId(), help="Only of the row with this id.")
@click.option("--outcome", "states", type=click.Choice(STATES), multiple=True, help="Only these; claimed: none yet.")
@click.option("--since", type=_MomentType(), help='Of rows created since then: "90m" ago, or "2026-01-31T08:00".')
@click.option("--until", type=_MomentType(), help="Of rows created until then.")
@click.option(
    "--limit", metavar="N", type=click.IntRange(min=1), default=_NEWEST, show_default=True, help="So many at the most."
)
@click.option("--all", "every", is_flag=True, help="However many there are.")
@click.option("--count", is_flag=True, help="How many there are, by endpoint and outcome.")
@click.option("--csv", "as_csv", is_flag=True, help="As CSV.")
def history(  # noqa: PLR0913 (an argument for each option)
    path: Path | None,
    *,
    endpoint: str | None,
    row_id: int | None,
    states: tuple[str, ...],
    since: Moment | None,
    until: Moment | None,
    limit: int,
    every: bool,
    count: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Look up what became of rows. The newest first; with --since quickly, however large the ledger is."""
    if as_json and as_csv:
        raise click.UsageError("--json or --csv, not both")
    config = load(path)
    question = Question(row_id, endpoint, states, since, until)

    async def work(connection: Connection) -> None:
        narrow = await deliveries.narrowed(connection, question, config.source)
        if count:
            show(COUNTS, await deliveries.counts(connection, narrow))
            return
        most = None if every else limit
        async with aclosing(deliveries.pages(connection, narrow, most)) as pages:
            if as_csv:
                await _export(pages)
                return
            found = [row async for page in pages for row in page]
        show(COLUMNS, found)
        if not found:
            click.echo(_nothing(config, endpoint), err=True)
        if len(found) == most:
            click.echo(f"the newest {most}: there may be more, with --limit or --all", err=True)

    def show(columns: Sequence[str], rows: Sequence[deliveries.Row]) -> None:
        if as_csv:
            _write(columns, rows)
        elif as_json:
            display.show_json([dict(zip(columns, row, strict=True)) for row in rows])
        else:
            display.show_table([name.replace("_", " ") for name in columns], rows)

    complete(ask_database(config, work))


def _nothing(config: Config, endpoint: str | None) -> str:
    names = [each.name for each in config.webhook.endpoints]
    if endpoint is None or endpoint in names:
        return "nothing is recorded of that"
    return (
        f"nothing is recorded of that; {endpoint} is none of the configuration, which has {', '.join(names) or 'none'}"
    )


async def _export(pages: AsyncIterable[Sequence[deliveries.Row]]) -> None:
    """As they come: they may be millions."""
    _write(COLUMNS, ())
    async for page in pages:
        _write((), page)


def _write(columns: Sequence[str], rows: Sequence[deliveries.Row]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    if columns:
        writer.writerow(columns)
    writer.writerows([[_text(cell) for cell in row] for row in rows])


def _text(cell: object) -> str:
    return cell.isoformat() if isinstance(cell, datetime) else display.plain(cell)
