"""Run the whole benchmark, and write docs/benchmarks: about eight minutes on two cores that do nothing else.

make bench                          all of it
make bench ARGS="--only bulk"       one work, printed and not written
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence

from bench import plots, report, works
from bench.bed import bed
from bench.engines import ENGINES, PUSHD, Engine
from bench.figures import Figures, Measurement
from bench.flood import flood
from bench.machine import machine
from pushd.demo.postgres import Cluster

_DURABLE = tuple(engine for engine in ENGINES if engine.durable)
# A work, who does it, how often. Engines take turns, so that a machine that drifts does so for all of them.
_PLAN: tuple[tuple[str, works.Work, Sequence[Engine], int], ...] = (
    ("latency 50", works.latency(50), ENGINES, 2),
    ("latency 1000", works.latency(1000), ENGINES, 1),
    ("stream 4", works.stream(4), ENGINES, 2),
    ("stream 16", works.stream(16), ENGINES, 1),
    ("bulk", works.bulk(), ENGINES, 2),
    ("backlog", works.backlog, _DURABLE, 1),
    ("alone", works.alone, (PUSHD,), 2),
    ("beside dead", works.beside_dead, (PUSHD,), 2),
    ("bulk, 2 daemons", works.bulk(2), (PUSHD,), 2),
    ("bulk, 3 daemons", works.bulk(3), (PUSHD,), 2),
    ("idle", works.idle, (PUSHD,), 1),
)
_WRITERS = (1, 8, 32)
_INSERT_ROUNDS = 2


async def _compared(cluster: Cluster, engines: Sequence[Engine], only: str | None) -> list[Measurement]:
    measurements = []
    for name, work, able, rounds in _PLAN:
        if only in (None, name):
            for _ in range(rounds):
                for engine in (each for each in able if each in engines):
                    values = await work(cluster, engine)
                    measurements.append(_told(name, engine.name, values))
    return measurements


async def _inserts(cluster: Cluster) -> list[Measurement]:
    measurements = []
    for writers in _WRITERS:
        for _ in range(_INSERT_ROUNDS):
            for way in works.WAYS:
                values = await works.inserts(cluster, way, writers)
                measurements.append(_told(f"inserts {writers}", way, values))
    return measurements


def _told(work: str, engine: str, values: works.Values) -> Measurement:
    shown = "  ".join(f"{name} {value:,.2f}" for name, value in values.items())
    print(f"{work}  {engine}:  {shown}", flush=True)
    return Measurement(work, engine, values)


async def _main(only: str | None) -> None:
    began = time.monotonic()
    engines = [engine for engine in ENGINES if not engine.missing()]
    for engine in ENGINES:
        if engine not in engines:
            print(f"left out, {engine.missing()}", file=sys.stderr)
    async with bed(engines) as cluster:
        measurements = []
        if only in (None, "receiver"):
            measurements.append(_told("receiver", "flood", await flood(2.0)))
        measurements += await _compared(cluster, engines, only)
        if only in (None, "inserts"):
            measurements += await _inserts(cluster)
        about = machine(cluster)
    print(f"{time.monotonic() - began:.0f} s")
    if only is None:
        figures = Figures(measurements)
        report.write(report.Results(about, figures))
        plots.write(figures, report.FOLDER)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["receiver", "inserts", *(name for name, *_ in _PLAN)])
    asyncio.run(_main(parser.parse_args().only))
