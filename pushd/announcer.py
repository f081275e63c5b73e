"""What the service manager is told while the daemon lives: how it goes, that it moves, and that it needs more time."""

import asyncio
import logging
import os
from collections.abc import Mapping

from pushd.facts import Phase
from pushd.log import pairs
from pushd.systemd import notify
from pushd.vitals import Vitals

log = logging.getLogger(__name__)

_EVERY = 2.0  # seconds; a status that has not changed is not told again
_EXTENSION = 15.0  # seconds more that the start or the stop may take, asked for while it goes on


async def announce(vitals: Vitals) -> None:
    """Tell the manager, if there is one, until cancelled: WATCHDOG=1 comes only while nothing hangs."""
    if "NOTIFY_SOCKET" not in os.environ:
        return
    watchdog = watchdog_seconds(os.environ, os.getpid())
    told, hung = "", False
    while True:
        states = []
        if (status := vitals.status()) != told:
            told = status
            states.append(f"STATUS={status}")
        if vitals.phase in {Phase.STARTING, Phase.STOPPING}:
            states.append(f"EXTEND_TIMEOUT_USEC={_EXTENSION * 1e6:.0f}")
        if watchdog:
            hanging = vitals.hanging()
            if not hanging:
                states.append("WATCHDOG=1")
            elif not hung:
                log.error("the watchdog is not told any more, it will restart us %s", pairs(reason=hanging[0]))
            hung = bool(hanging)
        if states:
            notify("\n".join(states), bound=0.0)  # soon it is told again, or something newer
        await asyncio.sleep(min(_EVERY, watchdog / 3) if watchdog else _EVERY)


def watchdog_seconds(environ: Mapping[str, str], pid: int) -> float | None:
    """How long the manager waits for a sign of this process, by sd_watchdog_enabled(3); None: it does not."""
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    microseconds = environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 1e6 if microseconds.isascii() and microseconds.isdigit() and int(microseconds) else None
