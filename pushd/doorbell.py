"""The doorbell: whether writers have to notify us, or we look for ourselves.

A transaction that notifies takes a lock of the whole cluster when it commits,
so many writers would wait for each other. While we are awake we hold nothing:
the trigger finds the lock free, skips the notification, and we look at the
tail of the table many times a second. When little happens we fall asleep: we
ask for the lock exclusively, and go on looking until it is granted. That
proves that every writer who skipped has ended, for he held it shared until
then. One last look, and we sleep on LISTEN: from the moment we asked, writers
notify.

Among several daemons one, the keeper, decides; the others hear of it on a
channel of their own, and one of them becomes the keeper when it goes.
"""

import asyncio
import contextlib
import enum
import logging
from dataclasses import dataclass
from typing import NoReturn

from psycopg import sql

from pushd.event import row_ids
from pushd.inbox import Inbox
from pushd.log import pairs
from pushd.pace import Pace
from pushd.postgres import Connection, attentive, probe, query
from pushd.tail import REACH, Tail

log = logging.getLogger(__name__)

_BELL_KEY = 1886745448  # as in pushd.ring()
_KEEPER_KEY = 1886745449
_PROBE_EVERY = 5.0  # seconds
_PROBE_BOUND = 3.0
_LOOK_BOUND = 30.0  # seconds for the last look; whoever makes it may have to connect first
_MOST_LEAPS = 3  # ids that are no sequence (snowflakes, say) cannot be tailed, and are listened for at any rate
_LATE_IDS = 5000  # ids below the highest heard that a tail begins at, at the most


class State(enum.Enum):
    """Who finds new rows."""

    DEAF = "deaf"  # nobody for certain: the sweep
    ASLEEP = "asleep"  # every writer notifies
    AWAKE = "awake"  # no writer does: we look
    FALLING = "falling asleep"  # some still do not: we look and listen


@dataclass(frozen=True, slots=True)
class Rates:
    """When to wake up and when to fall asleep.

    By `python -m bench.rates`: from 200 to 300 rows a second on, looking takes less of a core than listening; a row
    arrives sooner when it is listened for, three milliseconds and at any of these rates; and writers feel their
    notifications from thousands a second on. So we listen a little longer, and sleep well below that.
    """

    wake_at: float = 400.0  # notifications a second
    sleep_below: float = 150.0  # rows a second
    calm: float = 3.0  # seconds below that
    window: float = 1.0  # seconds over which both are told


RATES = Rates()


class Doorbell:
    """The bell of one table. `tail` is there while rows have to be looked for."""

    def __init__(self, oid: int, inbox: Inbox, rates: Rates) -> None:
        # The trigger casts the unsigned oid to a signed integer; so must we.
        self._table = oid - 2**32 if oid >= 2**31 else oid
        self.channel = f"pushd_doorbell_{oid}"  # on which the keeper tells the others
        self._inbox = inbox
        self._keeps = False
        self._rates = rates
        self._pace = Pace(rates.window)
        self._leaps = 0  # notifications in a row that were further from those before than a tail reaches
        self._begin: int | None = None  # where a tail would begin; known when notifications come too fast
        self._stirred = asyncio.Event()  # set when the keeper has a reason to look up
        self._asked = False  # somebody wants to know from the keeper whether it is awake
        self._looked = asyncio.Event()  # set when the last look has been made
        self.granted = False  # every writer notifies, and one last look is to be made
        self.state = State.DEAF
        self.tail: Tail | None = None

    def __repr__(self) -> str:
        return f"<Doorbell {self.state.value}{', keeper' if self._keeps else ''}>"

    # what the others tell us ---------------------------------------------------------

    def heard(self, ids: frozenset[int] | None, now: float) -> None:
        """Note a notification of rows (None: of many), for the pace and for where a tail would begin."""
        highest = max(ids) if ids else None
        if highest is not None and self._pace.highest is not None:
            self._leaps = self._leaps + 1 if abs(highest - self._pace.highest) > REACH else 0
        self._pace.add(1, now, highest)
        rate = self._pace.rate(now)
        if rate >= self._rates.wake_at and self._pace.highest is not None and self._leaps < _MOST_LEAPS:
            # Whoever will not notify may have drawn his ids a while ago: a second's worth is looked at again.
            self._begin = self._pace.highest - min(int(rate), _LATE_IDS)
            self._stirred.set()

    def looked(self, found: int, now: float, *, last: bool) -> None:
        """Note a look at the tail; `last` when it began after the lock was granted."""
        self._pace.add(found, now)
        if last:
            self.granted = False
            self._sleep()
            self._looked.set()

    def told(self, word: str) -> None:
        """Follow the keeper: "awake ID", "asleep" or "deaf"; the keeper itself is asked "who"."""
        if word == "who":
            self._asked = True
            return
        if self._keeps:
            return
        match word.split():
            case ["awake", id_] if (begin := _row_id(id_)) is not None:
                if self.state is not State.AWAKE:  # said again for one who asked; our tail knows more
                    self._wake(begin)
            case ["asleep"]:
                self._look_once_more()
            case ["deaf"]:
                self._change(State.DEAF)
            case _:
                log.warning("not a word of pushd's on the doorbell channel %s", pairs(word=word))

    async def ask(self, connection: Connection) -> None:
        """Find out, newly listening, whether a keeper sleeps; if none does, one that is awake is asked for a word."""
        ((held,),) = await query(connection, "bell_held", {"key": _BELL_KEY, "table": self._table})
        if self._keeps:
            return
        if held:
            self._sleep()
        else:
            await self._tell(connection, "who")

    def deafen(self) -> None:
        """Nobody listens any more."""
        if not self._keeps:
            self._change(State.DEAF)

    # the keeper ----------------------------------------------------------------------

    async def keep(self, connection: Connection) -> NoReturn:
        """Become the keeper when there is none, and be it until the connection breaks."""
        # Both locks are waited for without a bound: for as long as another daemon is the keeper, and for
        # as long as a writer's transaction is open. A dead server is found out by the socket's keepalives.
        await self._lock(connection, "lock", _KEEPER_KEY)
        self._keeps = True
        try:
            if self.tail is None:
                self._change(State.DEAF)
                await self._tell(connection, "deaf")
            while True:
                await self._fall_asleep(connection)
                begin = await self._until_busy(connection)
                await self._wake_up(connection, begin)
                await self._until_calm(connection)
        finally:
            self._keeps = self.granted = False
            self._change(State.DEAF)

    async def _fall_asleep(self, connection: Connection) -> None:
        if self.tail is not None:
            self._change(State.FALLING)
        await self._lock(connection, "lock", _BELL_KEY)
        self._look_once_more()
        async with asyncio.timeout(_LOOK_BOUND):
            await self._looked.wait()
        log.debug("doorbell held %s", pairs(table=self._table))
        await self._tell(connection, "asleep")

    async def _wake_up(self, connection: Connection, begin: int) -> None:
        # In this order: when the first writer skips the notification, everybody looks already.
        self._wake(begin)
        await self._tell(connection, f"awake {begin}")
        await self._lock(connection, "unlock", _BELL_KEY)

    async def _until_busy(self, connection: Connection) -> int:
        """Sleep; a session that the server ends is noticed at once, since writers do not notify from then on."""
        self._begin = None
        while self._begin is None:
            self._stirred.clear()
            with attentive(connection, self._stirred.set), contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PROBE_EVERY):
                    await self._stirred.wait()
            await probe(connection, _PROBE_BOUND)
        return self._begin

    async def _until_calm(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        busy = loop.time()
        while loop.time() - busy < self._rates.calm:
            await asyncio.sleep(self._rates.calm / 3)
            await probe(connection, _PROBE_BOUND)
            if self._pace.rate(loop.time()) >= self._rates.sleep_below:
                busy = loop.time()
            if self._asked and self.tail is not None:
                self._asked = False
                await self._tell(connection, f"awake {self.tail.highest - _LATE_IDS}")

    async def _lock(self, connection: Connection, what: str, key: int) -> None:
        function = sql.Identifier("pg_catalog", f"pg_advisory_{what}")
        await connection.execute(sql.SQL("select {}(%s::integer, %s::integer)").format(function), (key, self._table))

    async def _tell(self, connection: Connection, word: str) -> None:
        await connection.execute("select pg_notify(%s, %s)", [self.channel, word])

    def _wake(self, begin: int) -> None:
        self.granted = False
        self.tail = Tail(begin)
        self._change(State.AWAKE)
        self._inbox.look()

    def _look_once_more(self) -> None:
        """Every writer notifies now, and who did not has ended: after one more look we sleep."""
        self._looked.clear()
        if self.tail is not None:
            self.granted = True
        else:
            self._sleep()
            self._looked.set()

    def _sleep(self) -> None:
        self.tail = None
        self._change(State.ASLEEP)
        self._inbox.want_sweep()

    def _change(self, state: State) -> None:
        if state is not self.state:
            log.debug("doorbell %s", pairs(state=state.value))
            self.state = state
            self._inbox.wake()  # deaf or not, that decides how often to sweep


def _row_id(text: str) -> int | None:
    """The one id in what another session says; None for anything else, since any session may say anything."""
    try:
        ids = row_ids(text)
    except ValueError:
        return None
    return next(iter(ids)) if ids and len(ids) == 1 else None
