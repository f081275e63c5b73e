"""Where the daemon's time goes while it pushes a large commit: py-spy looks at it from outside, 500 times a second.

Run as `python -m bench.profile`: it prints the share of each part. `--raw FILE` keeps the stacks, one a line with its
count, for a flame graph. A stack counts for the first part that has a function in it.
"""

import argparse
import asyncio
import re
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench import load
from bench.bed import bed, turn
from bench.engines import PUSHD
from bench.processes import done

_ROWS = 60_000
_SECONDS = 4
_PARTS = {
    "log lines": r"pushd/log\.py|logging/__init__",
    "libcurl and its sockets": r"transfers\.py|libcurl|pycurl",
    "the request around it": r"webhook\.py",
    "outcomes into the ledger": r"settler\.py|ledger\.py",
    "sweeps, claims and loading": r"claimer\.py|source\.py|sweeper\.py|psycopg",
    "statistics": r"stats\.py|histogram\.py|course\.py|recent\.py|results\.py",
    "the envelope": r"event\.py|orjson",
    "lanes, retries, freshness": r"lane\.py|retry\.py|freshness\.py|track\.py|asyncio/locks",
    "the pipeline's own code": r"pipeline\.py",
    "the event loop": r"",
}


async def _stacks(raw: Path) -> Counter[str]:
    """Answer how often each stack was seen while rows were pushed."""
    async with bed([PUSHD]) as cluster, turn(cluster, PUSHD) as at:
        await load.at_once(at.dsn, _ROWS)
        py_spy = Path(sys.executable).with_name("py-spy")
        await done(
            *(py_spy, "record", "--pid", str(at.pids[0]), "--rate", "500", "--duration", str(_SECONDS)),
            *("--format", "raw", "--native", "--output", raw),
        )
    stacks: Counter[str] = Counter()
    for line in raw.read_text("utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        stacks[stack] += int(count)
    return stacks


def _shares(stacks: Counter[str]) -> dict[str, float]:
    """Answer the share of each part, the largest first."""
    parts: Counter[str] = Counter()
    for stack, count in stacks.items():
        parts[next(part for part, pattern in _PARTS.items() if re.search(pattern, stack))] += count
    return {part: count / stacks.total() for part, count in parts.most_common()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw", type=Path)
    keep = parser.parse_args().raw
    if not shutil.which("py-spy", path=str(Path(sys.executable).parent)):
        sys.exit("py-spy is not here: make bench installs it")
    with tempfile.TemporaryDirectory() as folder:
        for name, share in _shares(asyncio.run(_stacks(keep or Path(folder, "stacks")))).items():
            print(f"{share:5.0%}  {name}")
