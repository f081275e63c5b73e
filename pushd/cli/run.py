"""The daemon itself; whatever is imported here stays in its memory."""

import asyncio
from pathlib import Path

import click

from pushd import daemon, log
from pushd.cli.frame import complete, config_option, load
from pushd.config import Config
from pushd.errors import PushdError


@click.command()
@config_option
def run(path: Path | None) -> None:
    """Run the daemon. Until SIGTERM or SIGINT: the first lets it finish, a second does not. SIGHUP reloads."""

    def read() -> Config:
        return load(path)

    config = read()
    log.setup(config.log.level, config.log.format)
    try:
        complete(daemon.run(config, read))
    except asyncio.CancelledError:
        raise PushdError("stopped at once; what was under way is taken up at the next start") from None
    finally:
        log.flush()  # what is said from here on comes after it
