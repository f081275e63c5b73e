"""The service: what is put where for systemd to run pushd, and what is taken away again."""

import sys
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from pushd.steps import Command, File, Folder, Gone, Place, Step

_INTERPRETER = "/opt/pushd/bin/python"  # as the unit files of systemd/ have it
_OUT_OF_SIGHT = ("/home", "/root", "/run/user", "/tmp", "/var/tmp")  # by ProtectHome and PrivateTmp  # noqa: S108


def installation(place: Place, interpreter: str = sys.executable) -> list[Step]:
    """What has to be there; the unit runs the daemon with this interpreter."""
    unit = unit_text(_text(place.template), interpreter)
    return [
        File(place.inside("etc/sysusers.d/pushd.conf"), _text("pushd.sysusers.conf"), 0o644),
        Command(("systemd-sysusers", *_root(place), "pushd.conf")),
        Folder(place.inside("etc/pushd"), 0o750),
        File(place.config, _text("config.toml"), 0o640, keep=True),
        File(place.inside(f"etc/systemd/system/{place.template}"), unit, 0o644),
        *_reload(place),
    ]


def removal(place: Place) -> list[Step]:
    """The way back; configuration, credentials, the user and the database stay."""
    units = place.inside("etc/systemd/system")
    others = {path.name for path in units.glob("*.wants/pushd@*.service")} - {place.unit}
    steps: list[Step] = []
    if place.inside(f"etc/systemd/system/{place.template}").exists():
        stop = ("--now",) if place.here else ()
        steps.append(Command(("systemctl", *_root(place), "disable", *stop, place.unit), booted=place.here))
    if place.instance is None or not others:
        steps.append(Gone(units / place.template))
        other = units / ("pushd@.service" if place.instance is None else "pushd.service")
        if not other.exists():
            steps.append(Gone(place.inside("etc/sysusers.d/pushd.conf")))
    return [*steps, *_reload(place)]


def _root(place: Place) -> tuple[str, ...]:
    return () if place.here else (f"--root={place.root}",)


def _reload(place: Place) -> Iterator[Step]:
    if place.here:
        yield Command(("systemctl", "daemon-reload"), booted=True)


def unit_text(text: str, interpreter: str) -> str:
    """A unit file with the interpreter that is really there, written as systemd.syntax(7) wants it."""
    word = interpreter.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    if word != interpreter or " " in word:
        word = f'"{word}"'
    return text.replace(f"ExecStart={_INTERPRETER} ", f"ExecStart={word} ")


def hidden(*paths: str) -> str | None:
    """The first of the folders that the hardened service does not see, when one of these paths lies in it."""
    return next((folder for folder in _OUT_OF_SIGHT for path in paths if Path(path).is_relative_to(folder)), None)


def _text(name: str) -> str:
    """A file for the operator: inside the package once it is installed, beside it in a checkout."""
    installed = files("pushd").joinpath("units")
    checkout = Path(__file__).parent.parent
    folder: Traversable = installed if installed.is_dir() else checkout / ("" if name == "config.toml" else "systemd")
    return folder.joinpath(name).read_text("utf-8")
