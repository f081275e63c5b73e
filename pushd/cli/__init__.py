"""pushctl: the only place that prints and exits.

Each room holds a few commands, and is imported when one of them is asked for:
the daemon is to carry nothing that it does not need, such as what draws tables.
"""

import importlib
import sys
from typing import Any

import click

from pushd import __version__
from pushd.errors import PushdError

# Each command, and the room in which a function of its name (with _ for -) is it.
_ROOMS = {
    "demo": "demo",
    "check": "prepare",
    "migrate": "prepare",
    "doctor": "diagnose",
    "send-test": "diagnose",
    "run": "run",
    "status": "ask",
    "explain": "ask",
    "history": "history",
    "install-service": "install",
    "uninstall-service": "install",
    "completion": "install",
}


class _Commands(click.Group):
    """Commands that may fail with a PushdError: its lines go to standard error, its code to the shell."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(_ROOMS)  # in the order in which a person comes to need them

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in _ROOMS:
            return None
        command = getattr(importlib.import_module(f"{__name__}.{_ROOMS[name]}"), name.replace("-", "_"))
        assert isinstance(command, click.Command), name  # noqa: S101 (a mistake in the table above)
        return command

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except PushdError as error:
            for line in str(error).splitlines():
                click.echo(f"pushctl: {line}", err=True)
            sys.exit(error.exit_code)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pushctl")
def main() -> None:
    """Push fresh rows of a table to webhooks.

    The configuration is -c FILE, else $PUSHD_CONFIG, ./config.toml, /etc/pushd/config.toml.

    Exit codes: 0; 1 the thing asked for failed, or is not well; 2 wrong usage; 78 the configuration or the database
    has to be mended first.
    """
