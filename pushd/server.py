"""The HTTP server: what monitoring and people look at. It only answers; nothing can be changed through it.

Whoever can make a browser on this machine open a page of his own could read
ours through a name that he lets lead to 127.0.0.1; so it answers only to names
that are ours, or to an address.
"""

import contextlib
import ipaddress
import logging
import os
import socket
from collections.abc import AsyncIterator, Iterable
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from pushd import config
from pushd.errors import PushdError
from pushd.log import pairs

log = logging.getLogger(__name__)

# What aiohttp has to say: our own failures, and not what anybody may send here that is no HTTP, with a traceback each.
_http_log = logging.getLogger(f"{__name__}.http")
_http_log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))

STATS_PATH = "/api/v1/webhook/stats"
OVERVIEW_PATH = "/api/v1/webhook/overview"

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@contextlib.asynccontextmanager
async def serve(server: config.Server, routes: Iterable[web.RouteDef]) -> AsyncIterator[None]:
    """Serve these until the context ends; PushdError when the address cannot be had."""
    names = frozenset({"localhost", server.host.lower(), socket.gethostname().lower(), *map(str.lower, server.names)})

    @web.middleware
    async def to_our_names_only(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not is_ours(request.headers.get("Host"), names):
            text = f"421: this server does not go by that name; add it to server.names, or ask {server.host}\n"
            return web.Response(status=421, text=text)
        return await handler(request)

    app = web.Application(middlewares=[to_our_names_only], client_max_size=1024)
    app.on_response_prepare.append(_add_headers)
    app.add_routes(routes)
    runner = web.AppRunner(app, logger=_http_log, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, server.host, server.port).start()
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)
            raise PushdError(f"server.host, server.port: cannot listen there: {reason}") from error
        host, port = runner.addresses[0][:2]
        log.info("serving statistics %s", pairs(url=f"http://{_bracketed(host)}:{port}{STATS_PATH}"))
        yield
    finally:
        await runner.cleanup()


def is_ours(host: str | None, names: frozenset[str]) -> bool:
    """Whether a Host header names us: by an address, or by one of these names; browsers never leave it out."""
    if host is None:
        return True
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return name.rstrip(".") in names


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "pushd"  # not which libraries, and which versions of them
