"""How things are shown: tables for people, JSON for machines.

Rows, receivers and other daemons have written much of what is shown here, and
none of it may speak to the terminal: whatever does not print is written as an
escape, and nothing is taken for markup. Nothing is cut off, either: on a
terminal a cell is folded, and in a pipe each row is one line.
"""

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

import click
import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

_WIDE = 100_000  # characters: in a pipe nothing is folded
_STYLES = {
    **dict.fromkeys(("ok", "delivered", "accepted", "yes"), "green"),
    **dict.fromkeys(("warning", "claimed", "expired", "behind"), "yellow"),
    **dict.fromkeys(("failed", "refused", "no"), "bold red"),
    **dict.fromkeys(("skipped", "filtered"), "dim"),
}

Advance = Callable[[], None]


def plain(value: object) -> str:
    """Any text on one line, and harmless to a terminal; a time is this host's, and None is nothing."""
    if isinstance(value, datetime):
        return value.astimezone().isoformat(" ", "milliseconds")
    text = "" if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text)


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; its cells may hold anything."""
    # No frame in a pipe, where a line is what the next program reads.
    table = Table(box=SIMPLE_HEAD if sys.stdout.isatty() else None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in map(plain, row)))
    _show(table)


def show_lines(pairs: Sequence[tuple[str, object]]) -> None:
    """Print a line for each name with its value, in two columns; a value may be folded, but never cut off."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(plain(name), Text(plain(value)))
    _show(table)


def show_json(value: Any, *, indent: bool = True) -> None:
    """Print a value as JSON."""
    click.echo(harmless(orjson.dumps(value, option=orjson.OPT_INDENT_2 if indent else 0).decode()))


def harmless(text: str) -> str:
    r"""The same JSON, with what does not print as \u escapes: JSON itself would let DEL, C1 and bidi marks pass."""
    return re.sub(r"[^\n]", lambda one: one[0] if one[0].isprintable() else json.dumps(one[0])[1:-1], text)


@contextlib.contextmanager
def progress(what: str, total: int) -> Iterator[Advance]:
    """A bar on standard error for what takes long, where that is a terminal; the caller advances it."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True, markup=False), transient=True) as bars:
        task = bars.add_task(what, total=total)
        yield lambda: bars.advance(task)


def _show(table: Table) -> None:
    if sys.stdout.isatty():
        Console(highlight=False, markup=False, emoji=False).print(table)
        return
    console = Console(width=_WIDE, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    click.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))
