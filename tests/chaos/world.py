"""One scenario's world: a database, writers, daemons as real processes, receivers, proxies, and what befell them."""

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psycopg
from place import Place
from proxy import Proxy
from verdict import Accepted, Entry, Evidence, Row, Verdict, Window, judge
from writers import Writers

from pushd.demo.process import DaemonProcess
from pushd.demo.receiver import Receiver

SETTLE_BOUND = 1.0  # seconds from an arrival to its outcome in the ledger, on two busy cores
FIRST = "daemon-1"
_PATH = "/webhook"

_OPEN = """
    select count(*)
    from ocr_wallet_info as r
    cross join pushd.endpoint as e
    left join pushd.delivery as d
      on d.row_time = r.create_time and d.row_id = r.id and d.endpoint_id = e.id
    where coalesce(d.state, 0) = 0
"""
_LEDGER = "select row_id, endpoint, state from pushd.history"
_ROWS = "select id, extract(epoch from create_time)::float8 from ocr_wallet_info"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a world is made of; `webhook` are keys of the configuration's table of that name."""

    daemons: int = 1
    receivers: int = 1
    rate: float = 60.0  # rows a second of all writers together; 0: nobody writes
    proxied: bool = False  # the first daemon reaches PostgreSQL through a proxy
    webhook: Mapping[str, str | int] = field(default_factory=dict)
    data_expiry: float = 120.0


class World:
    """Everything a fault can strike; `windows`, `blows` and `remarks` are what it has to say for the verdict."""

    def __init__(self, place: Place, folder: Path, setting: Setting) -> None:
        self.place = place
        self.setting = setting
        self.chance = random.Random()
        self.writers = Writers(place.dsn, rate=setting.rate or 1.0)
        self.proxy = Proxy(place.upstream)
        self.receivers: list[Receiver] = []
        self.daemons: dict[str, DaemonProcess] = {}  # those that are alive
        self.windows: list[Window] = []
        self.blows: list[tuple[float, float]] = []
        self.remarks: list[str] = []
        self._folder = folder
        self._past: list[tuple[str, DaemonProcess]] = []
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            if self.setting.proxied:
                await stack.enter_async_context(self.proxy)
            for _ in range(self.setting.receivers):
                self.receivers.append(await stack.enter_async_context(Receiver()))
            stack.push_async_callback(self._end_daemons)
            for number in range(self.setting.daemons):
                await self.start(f"daemon-{number + 1}")
            if self.setting.rate:
                await stack.enter_async_context(self.writers)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    # daemons

    async def start(self, name: str, environ: Mapping[str, str] | None = None, *, ready: bool = True) -> DaemonProcess:
        """Start a daemon of this name, with the same configuration as in its earlier life."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        daemon = await DaemonProcess(folder, self._configuration(name), environ).__aenter__()
        self.daemons[name] = daemon
        self._past.append((name, daemon))
        if ready:
            await daemon.ready(30.0)
        return daemon

    async def kill(self, name: str) -> None:
        """Kill -9; what had arrived, but was not settled yet, may arrive again."""
        daemon, at = self.daemons.pop(name), time.time()
        daemon.send(signal.SIGKILL)
        await daemon.ended()
        await daemon.__aexit__()
        self.repeatable(at - SETTLE_BOUND, at + SETTLE_BOUND, f"{name} was killed", before=at + SETTLE_BOUND)

    async def stop(self, name: str) -> None:
        """SIGTERM; there is no excuse for a duplicate."""
        daemon = self.daemons.pop(name)
        code = await daemon.stop(40.0)
        await daemon.__aexit__()
        if code:
            self.remarks.append(f"{name} ended with exit code {code} when it was asked to stop")

    def repeatable(self, begin: float, end: float, why: str, before: float = float("inf")) -> None:
        """Allow repeats of what arrived in this window, of rows committed before that moment."""
        self.windows.append(Window(begin, end, why, before))

    @contextlib.contextmanager
    def blow(self) -> Iterator[None]:
        """Note when a fault began and ended."""
        begin = time.time()
        try:
            yield
        finally:
            self.blows.append((begin, time.time()))

    def _configuration(self, name: str) -> str:
        proxied = self.setting.proxied and name == FIRST
        dsn = self.place.through(self.proxy.port) if proxied else self.place.daemon_dsn
        webhook = {
            "urls": [receiver.url(_PATH) for receiver in self.receivers],
            "data_expiry": f"{self.setting.data_expiry:g}s",
            "retry_interval": "100ms",
            "max_retries": 100,
            **self.setting.webhook,
        }
        lines = "\n".join(f"{key} = {value!r}" for key, value in webhook.items())
        return (
            f'[webhook]\n{lines}\n[database]\ndsn = "{dsn}"\n[server]\nport = 0\n[log]\nlevel = "info"\n'
            f'[daemon]\nname = "{name}"\n'
        )

    async def _end_daemons(self) -> None:
        while self.daemons:
            await self.daemons.popitem()[1].__aexit__()

    # the database, as a superuser

    @contextlib.asynccontextmanager
    async def connect(self) -> AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]:
        async with await psycopg.AsyncConnection.connect(self.place.dsn, autocommit=True) as connection:
            yield connection

    async def execute(self, query: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        async with self.connect() as connection:
            cursor = await connection.execute(query, parameters or None)
            return await cursor.fetchall() if cursor.description else []

    # waiting

    async def steady(self, count: int = 20, within: float = 40.0) -> None:
        """Wait until rows that are committed from now on have arrived everywhere."""
        if self.setting.rate:
            rows = await self.writers.until_committed(count, within)
            for receiver in self.receivers:
                await receiver.until_accepted(rows, within)

    def longest_wait(self, rows: Iterable[int], receiver: Receiver) -> float:
        """Seconds from commit to first arrival, at worst, of rows that have all arrived."""
        first: dict[int, float] = {}
        for arrival in receiver.arrivals:
            first.setdefault(arrival.row_id, arrival.at)
        return max(first[row] - self.writers.commits[row] for row in rows)

    async def quiet(self, within: float) -> None:
        """Wait until every delivery is settled and nothing is under way; no longer than that, the verdict will tell."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while (await self.execute(_OPEN))[0][0] or await self._under_way():  # noqa: ASYNC110 (no event tells)
                    await asyncio.sleep(0.2)

    async def _under_way(self) -> bool:
        stats = [await daemon.stats() for daemon in self.daemons.values()]
        return any(each["in_flight"] or each["unsettled"] for each in stats)

    # the end

    async def verdict(self, *, may_end_otherwise: bool) -> Verdict:
        """Stop everything in good order and weigh what is known."""
        await self._bury()
        stats = {name: await daemon.stats() for name, daemon in self.daemons.items()}
        for name in list(self.daemons):
            await self.stop(name)
        evidence = Evidence(
            rows=[Row(row, at, self.writers.commits.get(row)) for row, at in await self.execute(_ROWS)],
            endpoints=[_name(receiver) for receiver in self.receivers],
            ledger=[Entry(*entry) for entry in await self.execute(_LEDGER)],
            accepted=[
                Accepted(arrival.row_id, _name(receiver), arrival.webhook_id, arrival.at)
                for receiver in self.receivers
                for arrival in receiver.arrivals
                if arrival.accepted
            ],
            windows=self.windows,
            faults=self.blows,
            stats=stats,
            data_expiry=self.setting.data_expiry,
            remarks=self.remarks,
        )
        return judge(evidence, may_end_otherwise=may_end_otherwise)

    async def _bury(self) -> None:
        """Take out, and remark, daemons that have ended of themselves: nothing that befalls them is a reason to."""
        for name, daemon in list(self.daemons.items()):
            with contextlib.suppress(TimeoutError):
                code = await daemon.ended(within=0.5)
                await self.daemons.pop(name).__aexit__()
                self.remarks.append(f"{name} ended of itself with exit code {code}")

    def told(self) -> str:
        """The daemons' last words above INFO, for whoever has to find out what went wrong."""
        return "\n".join(
            f"{name}: {line}"
            for name, daemon in self._past
            for line in [each for each in daemon.lines if "推送成功" not in each][-12:]
        )


def _name(receiver: Receiver) -> str:
    return f"127.0.0.1:{receiver.port}{_PATH}"
