"""A running daemon, asked over HTTP as the page asks it."""

import ipaddress
import os
from typing import Any

import aiohttp
import orjson

from pushd import config
from pushd.errors import PushdError
from pushd.server import OVERVIEW_PATH

_BOUND = 5.0  # seconds


async def overview(server: config.Server) -> dict[str, Any]:
    """What the daemon of this configuration says of itself; PushdError when nobody answers, or somebody else."""
    if not server.port:
        raise PushdError("server.port is 0, any free one, and only the daemon's log says which")
    where = f"http://{_reachable(server.host)}:{server.port}"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_BOUND), trust_env=False) as client,
            client.get(f"{where}{OVERVIEW_PATH}") as response,
        ):
            text = await response.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise PushdError(f"no daemon answers at {where}, {_reason(error)}: see  systemctl status pushd") from error
    try:
        answer: dict[str, Any] = orjson.loads(text)
        if response.status == 200 and {"ready", "endpoints"} <= answer.keys():
            return answer
    except (orjson.JSONDecodeError, AttributeError):
        pass
    raise PushdError(f"what answers at {where} is not this version of pushd (status {response.status})")


def _reachable(host: str) -> str:
    """The address by which a server that listens on this one can be reached from its own machine."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return f"[{address}]" if address.version == 6 else str(address)


def _reason(error: aiohttp.ClientError | TimeoutError) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing within {_BOUND:g} s"
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
