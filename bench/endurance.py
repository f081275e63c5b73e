"""Does memory stay flat? A million pushes, 50,000 rows a commit; what the daemon holds after each 100,000.

Run as `python -m bench.endurance`: two minutes.
"""

import argparse
import asyncio

from bench import load
from bench.bed import bed, turn
from bench.engines import PUSHD

_COMMIT = 50_000
_LOOK = 100_000


async def _main(rows: int) -> None:
    async with bed([PUSHD]) as cluster, turn(cluster, PUSHD) as at:
        print(f"{0:10,} pushes {at.resident():6.1f} MB")
        for pushed in range(_COMMIT, rows + 1, _COMMIT):
            await load.at_once(at.dsn, _COMMIT)
            if await at.receiver.counted(pushed, 60) < pushed:
                raise RuntimeError(f"not all of {pushed} rows have arrived")
            if pushed % _LOOK == 0:
                print(f"{pushed:10,} pushes {at.resident():6.1f} MB", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    asyncio.run(_main(parser.parse_args().rows))
