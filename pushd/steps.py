"""Steps of an installation: each can be done, or be shown as a shell would do it.

A step that is done already is passed over, so that all of them may be taken
twice; a file that is to be kept is the operator's, and is never touched.
"""

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pushd.errors import PushdError

USER = "pushd"
_INSTANCE = re.compile(r"[A-Za-z0-9_.-]{1,60}", re.ASCII)
_RUN_BOUND = 60.0  # seconds for a program of systemd


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that is to be there."""

    path: Path
    mode: int


@dataclass(frozen=True, slots=True)
class File:
    """A file that is to be there with this text; `keep`: whatever it says, when it is there already."""

    path: Path
    text: str
    mode: int
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """A file that is not to be there."""

    path: Path


@dataclass(frozen=True, slots=True)
class Command:
    """A program of systemd's that is to be run; `booted`: only where systemd runs."""

    words: tuple[str, ...]
    booted: bool = False


Step = Folder | File | Gone | Command


@dataclass(frozen=True, slots=True)
class Place:
    """Where the service goes: below `root`, as the one daemon of this host, or as the instance of this name."""

    root: Path = Path("/")
    instance: str | None = None

    def __post_init__(self) -> None:
        if self.instance is not None and not _INSTANCE.fullmatch(self.instance):
            raise PushdError(f"{self.instance!r} is no name for an instance: letters, digits, and _ . - are")

    @property
    def here(self) -> bool:
        """Whether it is this very system, not a folder that is to become one."""
        return self.root == Path("/")

    @property
    def template(self) -> str:
        """The name of the unit file."""
        return "pushd.service" if self.instance is None else "pushd@.service"

    @property
    def unit(self) -> str:
        return "pushd.service" if self.instance is None else f"pushd@{self.instance}.service"

    @property
    def config(self) -> Path:
        return self.inside(f"etc/pushd/{self.instance or 'config'}.toml")

    def inside(self, path: str) -> Path:
        return self.root / path


# as a shell would --------------------------------------------------------------


def script(place: Place, steps: Sequence[Step]) -> str:
    """The steps as a shell script, for who would rather read it first, or has other means to do it."""
    return "\n".join(["set -e", *(_line(place, step) for step in steps)]) + "\n"


def _line(place: Place, step: Step) -> str:
    match step:
        case Folder(path, mode):
            return f"install -d -m {mode:04o} -g {_group(place)} {shlex.quote(str(path))}"
        case File(path, text, mode, keep):
            target = shlex.quote(str(path))
            group = f" -g {_group(place)}" if keep else ""
            unless = f"test -e {target} || " if keep else ""
            # -D makes the folders above it, too.
            return f"{unless}install -D -m {mode:04o}{group} /dev/stdin {target} <<'PUSHD'\n{text}PUSHD"
        case Gone(path):
            return f"rm -f {shlex.quote(str(path))}"
        case Command(words, booted):
            line = shlex.join(words)
            return f"if test -d /run/systemd/system; then {line}; fi" if booted else line


def _group(place: Place) -> str:
    """The group by name; in another root, whose names are not known here, by its number there."""
    if place.here:
        return USER
    return f"""\"$(awk -F: '$1 == "{USER}" {{print $3}}' {shlex.quote(str(place.inside("etc/group")))})\""""


# as it is done -----------------------------------------------------------------


def perform(place: Place, step: Step) -> str:
    """Do a step unless it is done already; answers in a few words what was done, PushdError when it cannot be."""
    try:
        match step:
            case Folder(path, mode):
                return _make_folder(place, path, mode)
            case File():
                return _write(place, step)
            case Gone(path):
                path.unlink()
                return f"removed {path}"
            case Command():
                return _run(step)
    except FileNotFoundError as error:
        return f"{error.filename} was not there"
    except PermissionError as error:
        raise PushdError(f"{error.filename}: may not be changed: run it as root, or with --dry-run") from error
    except OSError as error:
        raise PushdError(f"{error.filename}: {(error.strerror or str(error)).lower()}") from error


def _make_folder(place: Place, path: Path, mode: int) -> str:
    if path.is_dir():
        return f"{path} is there"
    path.mkdir(parents=True)
    path.chmod(mode)
    _hand_over(place, path)
    return f"made {path}"


def _write(place: Place, file: File) -> str:
    path = file.path
    before = path.read_text("utf-8") if path.exists() else None
    if file.keep and before is not None:
        return f"kept {path} as it is"
    if before == file.text:
        return f"{path} is there"
    path.parent.mkdir(parents=True, exist_ok=True)
    if before is not None:
        path.replace(path.with_name(f"{path.name}.old"))
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(file.text, "utf-8")
    fresh.chmod(file.mode)
    if file.keep:
        _hand_over(place, fresh)
    fresh.replace(path)
    return f"wrote {path}" if before is None else f"wrote {path}; the former is {path.name}.old"


def _hand_over(place: Place, path: Path) -> None:
    """Let the daemon read it, by its group; whoever is not root cannot, and builds a root for somebody who is."""
    if os.geteuid() == 0:
        os.chown(path, 0, _group_number(place))


def _group_number(place: Place) -> int:
    """The number of the group in that root, whose names are not this system's."""
    with contextlib.suppress(FileNotFoundError):
        for line in place.inside("etc/group").read_text("utf-8").splitlines():
            name, _, number, *_ = line.split(":")
            if name == USER:
                return int(number)
    raise PushdError(f"there is no group {USER} in {place.inside('etc/group')}: systemd-sysusers would make it")


def _run(command: Command) -> str:
    line = shlex.join(command.words)
    if command.booted and not Path("/run/systemd/system").is_dir():
        return f"systemd does not run here, so not done: {line}"
    program = shutil.which(command.words[0])
    if program is None:
        raise PushdError(f"there is no {command.words[0]} here: install systemd, or do with --dry-run what fits")
    try:
        done = subprocess.run(  # noqa: S603 (a program of systemd's, with words of ours)
            [program, *command.words[1:]], capture_output=True, text=True, check=False, timeout=_RUN_BOUND
        )
    except subprocess.TimeoutExpired as error:
        raise PushdError(f"{line}: not done within {_RUN_BOUND:g} s") from error
    if done.returncode:
        said = textwrap.shorten(done.stderr.strip() or done.stdout.strip() or "it does not say why", 500)
        raise PushdError(f"{line}: {said}")
    return f"ran {line}"
