"""How much the receiver takes: requests made beforehand, from as many connections as keep it busy."""

import asyncio
import time
from typing import Any

from bench.processes import cpu_seconds
from bench.receiving import receiving

_CONNECTIONS = 16
_BODY = b'{"event_type":"ocr_wallet_data","data":{"id":%d,"wallet_code":"ABC"}}'
_REQUEST = b"POST / HTTP/1.1\r\nHost: receiver\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


class _Client(asyncio.Protocol):
    """Sends the next request as soon as the last is answered."""

    def __init__(self, rows: "list[int]") -> None:
        self._rows = rows

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._send()

    def data_received(self, _: bytes) -> None:
        self._send()

    def _send(self) -> None:
        self._rows[0] += 1
        body = _BODY % self._rows[0]
        self._transport.write(_REQUEST % (len(body), body))


async def flood(seconds: float) -> dict[str, float]:
    """Answer how many requests a second the receiver answers, and what one costs it."""
    loop = asyncio.get_running_loop()
    async with receiving() as receiver:
        rows = [0]
        before, begin = cpu_seconds([receiver.pid]), time.monotonic()
        clients = [
            await loop.create_connection(lambda: _Client(rows), "127.0.0.1", receiver.port) for _ in range(_CONNECTIONS)
        ]
        await asyncio.sleep(seconds)
        for transport, _ in clients:
            transport.abort()
        took, used = time.monotonic() - begin, cpu_seconds([receiver.pid]) - before
        count = await receiver.count()
    return {"requests_per_s": count / took, "cpu_us": used / count * 1e6}
