"""What commands share: the configuration, the database they ask, and how a coroutine is run to its end."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click
import psycopg
import uvloop
from click.shell_completion import CompletionItem
from pydantic import SecretStr

from pushd import configfile, postgres, refusal
from pushd.config import Config, Endpoint
from pushd.errors import PushdError, SchemaError

Result = TypeVar("Result")

config_option = click.option(
    "-c",
    "--config",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration; else $PUSHD_CONFIG, ./config.toml, /etc/pushd/config.toml.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="For machines: JSON, and no table.")


def _complete_endpoint(context: click.Context, _: click.Parameter, begun: str) -> list[CompletionItem]:
    """The names in the configuration that begin so; a shell that completes is no place for an error."""
    try:
        names = [endpoint.name for endpoint in load(context.params.get("path")).webhook.endpoints]
    except PushdError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(begun)]


endpoint_option = click.option(
    "--endpoint", metavar="NAME", shell_complete=_complete_endpoint, help="Only this endpoint, by its name."
)


class RowId(click.ParamType[int]):
    """A whole number that fits a bigint."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is not the id of a row", param, ctx)
        if not -(2**63) <= number < 2**63:
            self.fail(f"{value} does not fit a bigint", param, ctx)
        return number


def load(path: Path | None) -> Config:
    """The configuration of this command; ConfigError names every mistake."""
    return configfile.load(path, os.environ)


def chosen(config: Config, name: str | None) -> tuple[Endpoint, ...]:
    """The endpoint of this name, or else all; PushdError when there is none of that name."""
    every = config.webhook.endpoints
    if name is None:
        return every
    found = tuple(endpoint for endpoint in every if endpoint.name == name)
    if not found:
        known = ", ".join(endpoint.name for endpoint in every) or "none at all"
        raise PushdError(f"no endpoint is named {name!r}; the configuration has {known}")
    return found


async def with_database(
    dsn: SecretStr, work: Callable[[postgres.Connection], Awaitable[Result]], *, blocking: bool = False
) -> Result:
    """Do `work` on a session of its own; PushdError with PostgreSQL's reason when it fails."""
    let_in = False
    try:
        async with postgres.connect(dsn.get_secret_value(), "pushctl", blocking=blocking) as connection:
            let_in = True
            return await work(connection)
    except BrokenPipeError:  # nobody reads on what we print; the shell's business
        raise
    except (psycopg.Error, OSError, TimeoutError) as error:
        lines = [f"database: {postgres.brief(error)}"]
        if not let_in:
            lines.append(refusal.remedy(str(error), dsn.get_secret_value()))
        raise PushdError("\n".join(lines)) from error


async def ask_database(config: Config, work: Callable[[postgres.Connection], Awaitable[Result]]) -> Result:
    """Do `work`, which may take long, on a session of its own; SchemaError where something is missing there."""

    async def ask(connection: postgres.Connection) -> Result:
        try:
            return await work(connection)
        except psycopg.ProgrammingError as error:  # no such table, no such right, and their like
            raise SchemaError(f"database: {postgres.brief(error)}: see  pushctl doctor") from error

    return await with_database(config.database.dsn, ask, blocking=True)


def complete(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)
