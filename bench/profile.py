"""Where the daemon's time goes while it pushes a large commit: py-spy looks at it from outside, 500 times a second.

    python -m bench.profile

Prints the share of the functions in which, or below which, the time was spent; `--raw FILE`
keeps the stacks, one a line with its count, for a flame graph.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench import load
from bench.bed import bed, turn
from bench.engines import PUSHD
from bench.processes import done

_ROWS = 40_000
_SECONDS = 4
_SHOWN = 32


async def _stacks(raw: Path) -> Counter[tuple[str, ...]]:
    """Answer how often each stack was seen while rows were pushed."""
    async with bed([PUSHD]) as cluster, turn(cluster, PUSHD) as at:
        await load.at_once(at.dsn, _ROWS)
        py_spy = Path(sys.executable).with_name("py-spy")
        await done(
            *(py_spy, "record", "--pid", str(at.pids[0]), "--rate", "500", "--duration", str(_SECONDS)),
            *("--format", "raw", "--native", "--output", raw),
        )
    stacks: Counter[tuple[str, ...]] = Counter()
    for line in raw.read_text("utf-8").splitlines():
        stack, _, count = line.rpartition(" ")
        stacks[tuple(stack.split(";"))] += int(count)
    return stacks


def _print_shares(stacks: Counter[tuple[str, ...]]) -> None:
    total = sum(stacks.values())
    below: Counter[str] = Counter()
    itself: Counter[str] = Counter()
    for stack, count in stacks.items():
        below.update(dict.fromkeys(stack, count))
        itself[stack[-1]] += count
    for name, counts in (("in it and below it", below), ("in it alone", itself)):
        print(f"\n{name}")
        for function, count in counts.most_common(_SHOWN):
            print(f"{count / total:6.1%}  {function}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--raw", type=Path)
    keep = parser.parse_args().raw
    if not shutil.which("py-spy", path=str(Path(sys.executable).parent)):
        sys.exit("py-spy is not here: make bench installs it")
    with tempfile.TemporaryDirectory() as folder:
        _print_shares(asyncio.run(_stacks(keep or Path(folder, "stacks"))))
