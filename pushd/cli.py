"""pushctl: the only room that prints and exits."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click
import psycopg
import uvloop
from pydantic import SecretStr

import pushd.demo
from pushd import __version__, configfile, daemon, log, migrations, postgres, preparation
from pushd.config import Config
from pushd.errors import PushdError

Result = TypeVar("Result")

_CONFIG = click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration; else $PUSHD_CONFIG, ./config.toml, /etc/pushd/config.toml.",
)


class _Group(click.Group):
    """A group whose commands may fail with a PushdError: its lines go to standard error, its code to the shell."""

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except PushdError as error:
            for line in str(error).splitlines():
                click.echo(f"pushctl: {line}", err=True)
            sys.exit(error.exit_code)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pushctl")
def main() -> None:
    """Push fresh rows of a PostgreSQL table to webhooks."""


@main.command()
@_CONFIG
def run(path: Path | None) -> None:
    """Run the daemon until SIGTERM or SIGINT; the first lets it finish, a second does not."""

    def read() -> Config:
        return configfile.load(path, os.environ)

    config = read()
    log.setup(config.log.level, config.log.format)
    try:
        _complete(daemon.run(config, read))
    except asyncio.CancelledError:
        raise PushdError("stopped at once; what was under way is taken up at the next start") from None


@main.command()
@_CONFIG
@click.option("--connect", is_flag=True, help="Look at the database, too.")
def check(path: Path | None, *, connect: bool) -> None:
    """Check the configuration, and with --connect what a start would find in the database; changes nothing."""
    config = configfile.load(path, os.environ)
    endpoints = config.webhook.endpoints
    click.echo(f"configuration: good; {len(endpoints)} endpoint(s), rows up to {config.webhook.data_expiry:g} s old")
    for endpoint in endpoints:
        click.echo(f"  {endpoint.name}")
    if connect:
        source, condition = _complete(
            _with_database(config.database.dsn, lambda each: preparation.examine(each, config))
        )
        click.echo(f"database: good; {config.source.table} is heard on channel {source.channel}")
        for fault in condition:
            click.echo(f"warning: {fault}")


@main.command()
@_CONFIG
@click.option("--dsn", help="Connect as the owner of the schema, not as the daemon of the configuration.")
@click.option("--to", type=click.IntRange(min=0), help="Stop at this version.")
@click.option("--down", is_flag=True, help="Take migrations back, all that are above --to.")
@click.option("--print", "print_", is_flag=True, help="Print the SQL, run nothing.")
def migrate(path: Path | None, dsn: str | None, to: int | None, *, down: bool, print_: bool) -> None:
    """Apply the files of sql/ that are not in force yet, each in its own transaction."""
    secret = SecretStr(dsn) if dsn is not None else configfile.load(path, os.environ).database.dsn

    async def work(connection: postgres.Connection) -> None:
        steps = list(migrations.steps(await migrations.applied(connection), to, down=down))
        for migration, text in steps:
            if print_:
                click.echo(text)
                continue
            await migrations.run(connection, migration, text)
            click.echo(f"{migration}: {'taken back' if down else 'applied'}")
        if not steps:
            click.echo("nothing to do")

    _complete(_with_database(secret, work))


@main.command()
@click.option("--keep", is_flag=True, help="Stay up until Ctrl-C.")
def demo(*, keep: bool) -> None:
    """See it work: a PostgreSQL of its own, two receivers, the daemon, and rows as they come."""
    # Killed, it must not leave a PostgreSQL behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not _complete(pushd.demo.tell(click.echo, keep=keep)):
        raise PushdError("the demo did not go as it should")


async def _with_database(dsn: SecretStr, work: Callable[[postgres.Connection], Awaitable[Result]]) -> Result:
    try:
        async with postgres.connect(dsn.get_secret_value(), "pushctl") as connection:
            return await work(connection)
    except (psycopg.Error, TimeoutError) as error:
        raise PushdError(f"database: {postgres.brief(error)}") from error


def _complete(work: Coroutine[Any, Any, Result]) -> Result:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
