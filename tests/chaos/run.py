"""`make chaos`: every fault in its long form, one after the other, and a table of what came of it.

Names as arguments choose some of them; --short takes their short form.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from faults import FAULTS, Fault, place_for, prove
from verdict import Verdict

from pushd.demo.postgres import Cluster

_LINE = "{:<18} {:>7} {:>9} {:>9} {:>5} {:>10} {:>9} {:>7}  {}"
_HEAD = ("fault", "rows", "delivered", "otherwise", "lost", "duplicates", "recovery", "took", "verdict")


def main() -> int:
    """Answers the exit code: 0 when all verdicts are good."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(map(str, FAULTS)))
    parser.add_argument("--short", action="store_true", help="as in make test")
    chosen = parser.parse_args()
    known = {fault.name: fault for fault in FAULTS}
    if unknown := [name for name in chosen.names if name not in known]:
        parser.error(f"no such fault: {', '.join(unknown)}; there are {', '.join(known)}")
    print(_LINE.format(*_HEAD), flush=True)
    with Cluster() as cluster:
        faults = [known[name] for name in chosen.names] or FAULTS
        good = [_run(fault, cluster.dsn(), long=not chosen.short) for fault in faults]
    print(
        "\nrows × endpoints: delivered = accepted by the receiver; otherwise = recorded as failed or expired;"
        "\nduplicates: accepted again, each explained unless the verdict says so;"
        "\nrecovery: the longest wait for a row's arrival, from its commit or the fault's end, whichever is later."
    )
    return 0 if all(good) else 1


def _run(fault: Fault, server: str, *, long: bool) -> bool:
    began = time.monotonic()
    try:
        with place_for(fault, server) as place, tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            verdict, told = asyncio.run(prove(fault, place, Path(folder), long=long))
    except Exception as error:  # noqa: BLE001 (one scenario that breaks down must not hide the others)
        print(f"{fault.name:<18} broke down: {type(error).__name__}: {error}", flush=True)
        return False
    _print(fault, verdict, time.monotonic() - began)
    if not verdict.good:
        print("\n".join(f"    {line}" for line in [*verdict.problems, *told.splitlines()]), flush=True)
    return verdict.good


def _print(fault: Fault, verdict: Verdict, took: float) -> None:
    cells = (
        fault.name,
        verdict.rows,
        verdict.delivered,
        verdict.otherwise,
        len(verdict.lost),
        len(verdict.duplicates),
        f"{verdict.recovery:.2f} s",
        f"{took:.0f} s",
        "good" if verdict.good else "BAD",
    )
    print(_LINE.format(*cells), flush=True)


if __name__ == "__main__":
    sys.exit(main())
