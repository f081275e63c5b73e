"""Who pushes: pushd, the naive script, and three job queues, each with a database of its own, set up once."""

import contextlib
import importlib.util
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from bench.processes import Program, done, running
from pushd import migrations
from pushd.demo.postgres import Cluster

PEERS = Path(__file__).with_name("peers")


class Engine(ABC):
    """One of those that are compared; `durable` says whether it survives a crash without losing rows."""

    def __init__(self, name: str, *, durable: bool) -> None:
        self.name = name
        self.database = name.replace("-", "_").replace(" ", "_").replace(",", "")
        self.durable = durable

    async def install(self, cluster: Cluster) -> None:
        """Make its database, with the watched table, its own tables and its trigger."""
        cluster.psql("-c", f"create database {self.database}")
        await self._install(cluster)

    def empty(self, cluster: Cluster) -> None:
        """Leave no row and no job, and nothing that waits for a vacuum or a checkpoint."""
        tables = ", ".join(("ocr_wallet_info", *self._tables()))
        cluster.psql("-c", f"truncate {tables}", "-c", "checkpoint", database=self.database)

    def missing(self) -> str:
        """Answer what it lacks on this machine, or nothing."""
        return ""

    @contextlib.asynccontextmanager
    async def running(self, cluster: Cluster, urls: Sequence[str], number: int = 1) -> AsyncIterator[Program]:
        """Run its process, until the context ends, for these endpoints; `number` tells several apart."""
        output = cluster.folder / f"{self.database}-{number}.log"
        async with running(self._command(cluster, urls, number), output) as program:
            await program.said(self._ready())
            yield program

    @abstractmethod
    async def _install(self, cluster: Cluster) -> None: ...

    @abstractmethod
    def _tables(self) -> Sequence[str]: ...

    @abstractmethod
    def _command(self, cluster: Cluster, urls: Sequence[str], number: int) -> Sequence[str | Path]: ...

    def _ready(self) -> str:
        return "ready"


class Pushd(Engine):
    """The daemon as it is installed, with so many pushers for each endpoint."""

    def __init__(self, name: str = "pushd", pushers: int = 3) -> None:
        super().__init__(name, durable=True)
        self._pushers = pushers

    async def _install(self, cluster: Cluster) -> None:
        for migration in migrations.available():
            cluster.psql("-1", "-c", migration.up, database=self.database)
        cluster.psql("-c", "select pushd.watch('ocr_wallet_info')", database=self.database)

    def _tables(self) -> Sequence[str]:
        return ("pushd.delivery",)

    def _command(self, cluster: Cluster, urls: Sequence[str], number: int) -> Sequence[str | Path]:
        config = cluster.folder / f"{self.database}-{number}.toml"
        lines = (
            *("[webhook]", f"urls = {list(urls)}", f"concurrent_pushers = {self._pushers}"),
            *("[database]", f'dsn = "{cluster.dsn(self.database, "pushd_daemon")}"'),
            *("[server]", "port = 0", "[daemon]", f'name = "daemon-{number}"'),
            # At this level it says when it holds the doorbell; a push has the same one line as at "info".
            *("[log]", 'level = "debug"'),
        )
        config.write_text("\n".join(lines), "utf-8")
        return (sys.executable, "-m", "pushd", "run", "-c", config)

    def _ready(self) -> str:
        return "doorbell held"


class SecondPushd(Pushd):
    """One more daemon beside another that keeps the bell."""

    def _ready(self) -> str:
        return "listening"


class Peer(Engine):
    """A worker in a folder of `peers`: `worker install` makes its tables, `worker run` prints "ready"."""

    def __init__(self, name: str, tables: Sequence[str], *, durable: bool = True) -> None:
        super().__init__(name, durable=durable)
        self._queue = tables
        self._folder = PEERS / self.database

    def _tables(self) -> Sequence[str]:
        return self._queue

    async def _install(self, cluster: Cluster) -> None:
        cluster.psql("-f", PEERS / "table.sql", database=self.database)
        if self._queue:
            await self._install_queue(cluster)
        cluster.psql("-f", self._folder / "trigger.sql", database=self.database)

    async def _install_queue(self, cluster: Cluster) -> None:
        await done(sys.executable, self._folder / "worker.py", "install", self._url(cluster))

    def missing(self) -> str:
        if not self._queue or importlib.util.find_spec(self.name):
            return ""
        return f"{self.name}: pip install -r requirements-bench.lock"

    def _command(self, cluster: Cluster, urls: Sequence[str], _: int) -> Sequence[str | Path]:
        return (sys.executable, self._folder / "worker.py", "run", self._url(cluster), urls[0])

    def _url(self, cluster: Cluster) -> str:
        """Answer how to connect in the one form that every driver takes."""
        return f"postgresql://postgres@/{self.database}?host={cluster.folder}"


class NodePeer(Peer):
    """The same with Node.js, and the packages that its own lock file names."""

    async def _install_queue(self, cluster: Cluster) -> None:
        if not (self._folder / "node_modules").exists():
            await done("npm", "ci", "--no-audit", "--no-fund", "--prefix", self._folder)
        await done("node", self._folder / "worker.mjs", "install", cluster.folder, self.database)

    def missing(self) -> str:
        return "" if shutil.which("npm") else f"{self.name}: Node.js and npm"

    def _command(self, cluster: Cluster, urls: Sequence[str], _: int) -> Sequence[str | Path]:
        return ("node", self._folder / "worker.mjs", "run", cluster.folder, self.database, urls[0])


PUSHD = Pushd()
MANY_PUSHERS = Pushd("pushd, 24 pushers", pushers=24)  # as many as the job queues have workers
NAIVE = Peer("naive", (), durable=False)
ENGINES: tuple[Engine, ...] = (
    PUSHD,
    MANY_PUSHERS,
    NAIVE,
    NodePeer("graphile-worker", ("graphile_worker._private_jobs",)),
    Peer("pgqueuer", ("pgqueuer", "pgqueuer_log")),
    Peer("procrastinate", ("procrastinate_jobs cascade",)),
)
