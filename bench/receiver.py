"""A receiver that does next to nothing: it answers 200, and writes down when which row came.

Prints its port. A line "count" on its standard input is answered by the number of
rows that have come, "arrivals" by that number and a line "row_id time" for each;
both forget repeats. It ends when its input does.
"""

import asyncio
import re
import sys
import time
from typing import Any

import uvloop

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb'"id":(\d+)')

_arrivals: dict[int, float] = {}


class Receiver(asyncio.Protocol):
    """One connection; requests may come in pieces, but not ahead of answers."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport  # uvloop's are writable, but do not say so to isinstance
        self._received = b""

    def data_received(self, data: bytes) -> None:
        at = time.time()
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not end or (length and len(body) < int(length[1])):
            return
        self._received = b""
        row_id = _ID.search(body)
        if row_id:
            _arrivals.setdefault(int(row_id[1]), at)
        self._transport.write(_ANSWER)


async def _main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Receiver, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        arrivals = list(_arrivals.items())
        print(len(arrivals), flush=True)
        if line == "arrivals\n":
            sys.stdout.writelines(f"{row_id} {at}\n" for row_id, at in arrivals)
            sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(_main())
