"""What the HTTP server answers: statistics, health in words, metrics, and what the page shows."""

from typing import Any

import orjson
from aiohttp import web

from pushd import page
from pushd.metrics import CONTENT_TYPE, Metrics
from pushd.overview import LONGEST_SEARCH, overview
from pushd.server import OVERVIEW_PATH, STATS_PATH
from pushd.vitals import Vitals


def routes(vitals: Vitals, name: str) -> list[web.RouteDef]:
    """Where to ask the daemon of this name for what."""
    numbers = Metrics(vitals)

    async def stats(_: web.Request) -> web.Response:
        return _json({"success": True, "data": vitals.snapshot()})

    async def healthz(_: web.Request) -> web.Response:
        """200 while all moves, or has nothing to do; 503 for what a restart would cure."""
        hanging = vitals.hanging()
        return _json({"healthy": not hanging, "reasons": list(map(str, hanging))}, good=not hanging)

    async def readyz(_: web.Request) -> web.Response:
        """200 while rows are pushed as they come; 503 while they are not, with the reasons."""
        verdict = vitals.verdict()
        body = {
            "ready": verdict.ready,
            "reasons": list(map(str, verdict.reasons)),
            "warnings": list(map(str, verdict.warnings)),
        }
        return _json(body, good=verdict.ready)

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=bytes(numbers), headers={"Content-Type": CONTENT_TYPE})

    async def seen(request: web.Request) -> web.Response:
        return _json(overview(vitals, name, request.query.get("search", "")[:LONGEST_SEARCH]))

    return [
        web.get(STATS_PATH, stats),
        web.get("/healthz", healthz),
        web.get("/readyz", readyz),
        web.get("/metrics", metrics),
        web.get(OVERVIEW_PATH, seen),
        *page.routes(),
    ]


def _json(body: dict[str, Any], *, good: bool = True) -> web.Response:
    return web.Response(status=200 if good else 503, body=orjson.dumps(body), content_type="application/json")
