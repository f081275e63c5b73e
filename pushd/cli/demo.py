"""A first try."""

import signal

import click

import pushd.demo
from pushd.cli.frame import complete
from pushd.errors import PushdError


@click.command()
@click.option("--keep", is_flag=True, help="Stay up until Ctrl-C.")
def demo(*, keep: bool) -> None:
    """See it work. Starts a PostgreSQL of its own, two receivers and the daemon, and shows rows as they come."""
    # Killed, it must not leave a PostgreSQL behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if not complete(pushd.demo.tell(click.echo, keep=keep)):
        raise PushdError("the demo did not go as it should")
