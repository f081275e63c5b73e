"""The HTTP server: what monitoring polls."""

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
from aiohttp import web

from pushd import config
from pushd.errors import PushdError
from pushd.log import pairs

log = logging.getLogger(__name__)

STATS_PATH = "/api/v1/webhook/stats"


@contextlib.asynccontextmanager
async def serve(server: config.Server, snapshot: Callable[[], dict[str, Any]]) -> AsyncIterator[None]:
    """Serve what `snapshot` answers until the context ends; PushdError when the address cannot be had."""

    async def stats(_: web.Request) -> web.Response:
        body = orjson.dumps({"success": True, "data": snapshot()})
        return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})

    app = web.Application()
    app.router.add_get(STATS_PATH, stats)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, server.host, server.port).start()
        except OSError as error:
            reason = os.strerror(error.errno).lower() if error.errno and error.errno > 0 else str(error)
            raise PushdError(f"server.host, server.port: cannot listen there: {reason}") from error
        host, port = runner.addresses[0][:2]
        log.info("serving statistics %s", pairs(url=f"http://{host}:{port}{STATS_PATH}"))
        yield
    finally:
        await runner.cleanup()
