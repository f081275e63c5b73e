"""When to wake up and when to fall asleep: what each state of the doorbell costs at each rate of rows.

    python -m bench.rates
    python -m bench.rates --rates 100 300 --seconds 10

The daemon is held asleep, held awake, or left to itself. Delays run from the moment
an INSERT is sent to the first byte at the receiver; CPU is the share of one core.
The rates at which `pushd/doorbell.py` changes its state are chosen from this table.
"""

import argparse
import asyncio
import functools
import math
import sys
from collections.abc import Sequence
from pathlib import Path

import pushd.daemon
from bench import load
from bench.bed import bed, turn
from bench.engines import Pushd
from bench.figures import quantile
from pushd.cli import main as pushctl
from pushd.demo.postgres import Cluster
from pushd.doorbell import RATES, Rates

_STATES = {
    "asleep": Rates(wake_at=math.inf),
    "awake": Rates(wake_at=1, sleep_below=0),
    "itself": RATES,
}


class Held(Pushd):
    """A daemon whose doorbell stays as it is told to."""

    def __init__(self, state: str) -> None:
        super().__init__(state)
        self.database = "pushd"  # one for all three

    def _command(self, cluster: Cluster, urls: Sequence[str], number: int) -> Sequence[str | Path]:
        config = super()._command(cluster, urls, number)[-1]
        return (sys.executable, "-m", "bench.rates", "--daemon", self.name, str(config))


def run_daemon(state: str, config: str) -> None:
    """Be such a daemon."""
    pushd.daemon.assemble = functools.partial(pushd.daemon.assemble, rates=_STATES[state])  # type: ignore[attr-defined] # the one seam where a process can be told
    pushctl(["run", "-c", config])


async def _main(rates: Sequence[float], seconds: float) -> None:
    async with bed([Pushd()]) as cluster:
        print("rows/s  doorbell  p50 ms  p99 ms  max ms  daemon CPU  a row  changes of state")
        for rate in rates:
            for state in _STATES:
                async with turn(cluster, Held(state)) as at:
                    warm = await load.at_rate(at.dsn, max(rate, 50), 1)
                    before = at.cost()
                    sent = await load.at_rate(at.dsn, rate, seconds)
                    arrivals = await at.receiver.until(len(warm) + len(sent), 5)
                    spent = at.cost() - before
                delays = [(arrivals.get(row_id, math.inf) - began) * 1000 for row_id, began in sent.items()]
                changes = (cluster.folder / "pushd-1.log").read_text("utf-8").count("doorbell state=")
                print(
                    f"{rate:6.0f}  {state:8}  {quantile(delays, 0.5):6.2f}  {quantile(delays, 0.99):6.2f}"
                    f"  {max(delays):6.1f}  {spent.daemon / spent.clock:10.1%}"
                    f"  {spent.daemon / len(sent) * 1e6:4.0f} µs  {changes:5}",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--daemon"]:
        run_daemon(*sys.argv[2:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=float, nargs="+", default=[10, 30, 100, 200, 300, 500, 1000])
    parser.add_argument("--seconds", type=float, default=6)
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.rates, arguments.seconds))
