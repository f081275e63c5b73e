"""The table of all faults: what is struck, and in what world."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import strike_daemon as daemon
import strike_database as database
import strike_load as load
import strike_receiver as receiver
import strike_several as several
from place import Place, own_server, shared_server
from verdict import Verdict
from world import Setting, World

_QUIET_BOUND = 45.0  # seconds until nothing is under way any more; a lease, and a little patience
_QUIET_BOUND_LONG = 120.0


class Strike(Protocol):
    """Do to a world what its docstring says, while it lives on."""

    async def __call__(self, world: World, *, long: bool) -> None: ...


_USUAL = Setting()


@dataclass(frozen=True, slots=True)
class Fault:
    """One way for things to go wrong; `may_end_otherwise`: rows may be recorded as not delivered."""

    name: str
    strike: Strike
    setting: Setting = _USUAL
    own_server: bool = False
    may_end_otherwise: bool = False

    def __str__(self) -> str:
        return self.name


_PROXIED = Setting(proxied=True)
_TWO_DAEMONS = Setting(daemons=2)
_THREE_DAEMONS = Setting(daemons=3)

FAULTS = (
    Fault("nothing", daemon.nothing),
    Fault("kill", daemon.kill, Setting(rate=150.0)),
    Fault("stop", daemon.stop),
    Fault("freeze", daemon.freeze),
    Fault("clock", daemon.clock_an_hour_off),
    Fault("terminate", database.terminate_sessions),
    Fault("crash", database.crash, own_server=True),
    Fault("crash-busy", database.crash_when_busy, Setting(rate=10.0), own_server=True),
    Fault("frozen-server", database.freeze_server, own_server=True),
    Fault("frozen-network", database.freeze_connections, _PROXIED),
    Fault("cut", database.cut_connections, _PROXIED),
    Fault("delay", database.delay_connections, _PROXIED),
    Fault("half-open", database.half_open_listen, _PROXIED),
    Fault("deaf", database.deaf, _PROXIED),
    Fault("lost-answers", database.lost_answers, _PROXIED),
    Fault("late-claim", database.late_claim, _PROXIED),
    Fault("late-settle", database.late_settle, _PROXIED),
    Fault("trigger", database.drop_trigger),
    Fault("down", receiver.down),
    Fault("500", receiver.refuses_at_random),
    Fault("reset", receiver.resets),
    Fault("drip", receiver.drips, Setting(webhook={"timeout": "2s"})),
    Fault("silent", receiver.never_answers, Setting(receivers=2, webhook={"timeout": "1s"})),
    Fault("open-transactions", load.open_transactions),
    Fault("copy", load.copy, Setting(rate=20.0, webhook={"concurrent_pushers": 8})),
    Fault("overload", load.overload, Setting(rate=0.0, data_expiry=12.0), may_end_otherwise=True),
    Fault("three", daemon.nothing, _THREE_DAEMONS),
    Fault("three-stop", several.stop_one_of_three, _THREE_DAEMONS),
    Fault("three-kill", several.kill_one_of_three, _THREE_DAEMONS),
    Fault("beyond-lease", several.freeze_beyond_lease, _TWO_DAEMONS),
    Fault("cut-off", several.cut_off_beyond_lease, Setting(daemons=2, rate=20.0, proxied=True)),
    Fault("storm", several.storm, Setting(daemons=3, receivers=2, rate=100.0, webhook={"queue_size": 20})),
)


@contextlib.contextmanager
def place_for(fault: Fault, server: str) -> Iterator[Place]:
    """A database for this fault: on that server, unless the fault strikes the server itself."""
    with own_server() if fault.own_server else shared_server(server) as place:
        yield place


async def prove(fault: Fault, place: Place, folder: Path, *, long: bool) -> tuple[Verdict, str]:
    """Strike a world at work, let it come to rest, and judge; also answers the daemons' last words."""
    async with World(place, folder, fault.setting) as world:
        try:
            await world.steady()
            await fault.strike(world, long=long)
            await world.steady()
        except TimeoutError:
            world.remarks.append("rows that it waited for did not come in time")
        await world.writers.stop()
        await world.quiet(_QUIET_BOUND_LONG if long else _QUIET_BOUND)
        verdict = await world.verdict(may_end_otherwise=fault.may_end_otherwise)
        return verdict, world.told()
