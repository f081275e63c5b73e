"""Write the man pages, from the commands themselves: `python docs/manual.py docs/man` (make man)."""

import sys
from pathlib import Path

import click
from click_man.core import write_man_pages

from pushd import __version__
from pushd.cli import main

_DATE = "2026-11-23"  # of the last change: the pages are to be the same whenever they are made


def write(folder: Path) -> None:
    """Write a page for pushctl and one for each of its commands into a folder."""
    # click-man walks a group's commands; ours are imported one by one when they are called.
    context = click.Context(main)
    commands = {name: main.get_command(context, name) for name in main.list_commands(context)}
    whole = click.Group("pushctl", {k: v for k, v in commands.items() if v}, help=main.help, params=main.params)
    write_man_pages("pushctl", whole, version=f"pushd {__version__}", target_dir=str(folder), date=_DATE)
    for page in folder.glob("*.1"):
        # \b is click's, "leave these lines as they are"; in man's language that is .nf
        page.write_text(page.read_text("utf-8").replace("\b", ".nf"), "utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
