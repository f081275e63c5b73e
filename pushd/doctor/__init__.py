"""The doctor: is everything there, and as it should be? It changes nothing.

The database is looked over check after check, and meanwhile each endpoint by
itself: a dead one holds nobody up.
"""

import asyncio
from collections.abc import Callable, Sequence

from pushd.config import Config
from pushd.doctor import database, endpoints
from pushd.doctor.finding import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine", "names"]


def names(config: Config, *, push: bool) -> Sequence[str]:
    """The checks there will be, in the order of the findings."""
    every = [endpoint.name for endpoint in config.webhook.endpoints]
    pushes = [f"push {name}" for name in every] if push else []
    return [*database.NAMES, *(f"endpoint {name}" for name in every), *pushes]


async def examine(config: Config, *, push: bool, on_finding: Callable[[], None]) -> list[Finding]:
    """Make every check; with `push` each endpoint is sent a sample. `on_finding` hears of each as it is made."""

    async def note(finding: Finding) -> Finding:
        on_finding()
        return finding

    async def look_at_the_database() -> list[Finding]:
        return [await note(finding) async for finding in database.examine(config)]

    async def look_at(endpoint_check: asyncio.Future[Finding]) -> Finding:
        return await note(await endpoint_check)

    every = config.webhook.endpoints
    async with asyncio.TaskGroup() as tasks:
        of_database = tasks.create_task(look_at_the_database(), name="database")
        reached = [tasks.create_task(endpoints.reach(each), name=f"reach {each}") for each in every]
        pushed = [tasks.create_task(endpoints.push(each), name=f"push {each}") for each in every if push]
        noted = [tasks.create_task(look_at(each), name="note") for each in (*reached, *pushed)]
    return [*of_database.result(), *(each.result() for each in noted)]
