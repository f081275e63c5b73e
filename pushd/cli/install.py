"""What makes a host ready: the service of systemd, and completion in a shell."""

import sys
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from pushd import service, steps

_DRY = click.option("--dry-run", is_flag=True, help="Print the steps as a shell script, and do nothing.")
_ROOT = click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("/"),
    help="Put everything below this folder, such as that of an image.",
)
_INSTANCE = click.option("--instance", metavar="NAME", help="One of several on this host: pushd@NAME, NAME.toml.")


@click.command()
@_DRY
@_ROOT
@_INSTANCE
def install_service(root: Path, instance: str | None, *, dry_run: bool) -> None:
    """Install pushd as a service of systemd. Its user, unit file and configuration; twice does no harm."""
    place = steps.Place(root.absolute(), instance)
    plan = service.installation(place)
    if dry_run:
        click.echo(steps.script(place, plan), nl=False)
        return
    _perform(place, plan)
    # A virtual environment leads on to the interpreter that it was made with.
    if folder := service.hidden(sys.executable, str(Path(sys.executable).resolve())):
        click.echo(f"warning: the service does not see {folder}, where its Python is: install it and pushd in /opt")
    config = place.config
    pushctl = Path(sys.executable).with_name("pushctl")  # it need not be on the path
    # As the one whom the daemon will be: the file is closed to others, and PostgreSQL may be, too.
    click.echo(f"next: edit {config}, and try it:  runuser -u {steps.USER} -- {pushctl} check --connect -c {config}")
    click.echo(f"then: systemctl enable --now {place.unit}   (after an update: systemctl restart {place.unit})")


@click.command()
@_DRY
@_ROOT
@_INSTANCE
def uninstall_service(root: Path, instance: str | None, *, dry_run: bool) -> None:
    """Take the service away again. Stops it, and leaves configuration, user and data."""
    place = steps.Place(root.absolute(), instance)
    plan = service.removal(place)
    if dry_run:
        click.echo(steps.script(place, plan), nl=False)
        return
    _perform(place, plan)
    click.echo(
        f"left: {place.inside('etc/pushd')} and {place.inside('etc/credstore')}, the user {steps.USER}, and the "
        "database (pushctl migrate --down takes its schema away, history and all)"
    )


def _perform(place: steps.Place, plan: list[steps.Step]) -> None:
    for step in plan:
        click.echo(steps.perform(place, step))


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what completes these words in SHELL. Commands, options, and the names of endpoints.

    \b
    bash:  eval "$(pushctl completion bash)"      in ~/.bashrc
    zsh:   eval "$(pushctl completion zsh)"       in ~/.zshrc
    fish:  pushctl completion fish | source       in ~/.config/fish/config.fish
    """  # noqa: D301 (\b is click's: leave these lines as they are)
    complete = get_completion_class(shell)
    assert complete is not None, shell  # noqa: S101 (the choice above has those that click knows)
    click.echo(complete(context.find_root().command, {}, "pushctl", "_PUSHCTL_COMPLETE").source())
