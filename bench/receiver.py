"""A receiver that does next to nothing: it answers, and writes down when which row came.

Prints its port; on end of standard input, prints one line "row_id time" for
each request and ends.
"""

import asyncio
import re
import sys
import time
from typing import Any

import uvloop

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
ID = re.compile(rb'"id":(\d+)')

arrivals: list[tuple[int, float]] = []


class Receiver(asyncio.Protocol):
    """One connection; requests may come in pieces, but not ahead of answers."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport  # uvloop's are writable, but do not say so to isinstance
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        at = time.time()
        self.buffer += data
        head, end, body = self.buffer.partition(b"\r\n\r\n")
        length = LENGTH.search(head)
        if not end or (length and len(body) < int(length[1])):
            return
        self.buffer = b""
        row_id = ID.search(body)
        if row_id:
            arrivals.append((int(row_id[1]), at))
        self.transport.write(ANSWER)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Receiver, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    sys.stdout.writelines(f"{row_id} {at}\n" for row_id, at in arrivals)


uvloop.run(main())
