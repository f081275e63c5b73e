"""Receivers that misbehave; each accepts a request exactly when its sender could know."""

import asyncio
import random

from aiohttp import web

from pushd.demo.receiver import Answer, Receiver

_BODY = b'{"success": true}'


def unwilling(share: float) -> Answer:
    """Answers 500 to this share of requests."""

    async def answer(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        return web.Response(status=500) if random.random() < share else web.json_response({})

    return answer


def resetting(share: float) -> Answer:
    """Says 200 and resets the connection in the middle of the body, for this share of requests."""

    async def answer(_: Receiver, request: web.Request, __: bytes) -> web.StreamResponse:
        if random.random() >= share:
            return web.json_response({})
        response = web.StreamResponse(headers={"Content-Length": str(len(_BODY))})
        await response.prepare(request)
        await response.write(_BODY[:5])
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)  # nobody gets it; it says that nothing was accepted

    return answer


def dripping(share: float, *, slow: float, endless: float) -> Answer:
    """Drips this share of its answers, half of them within `slow` seconds and half over `endless` ones."""

    async def answer(_: Receiver, request: web.Request, __: bytes) -> web.StreamResponse:
        if random.random() >= share:
            return web.json_response({})
        seconds = random.choice((slow, endless))
        response = web.StreamResponse(headers={"Content-Length": str(len(_BODY))})
        await response.prepare(request)
        try:
            for byte in _BODY:
                await response.write(bytes([byte]))
                await asyncio.sleep(seconds / len(_BODY))
        except OSError:
            return web.Response(status=500)
        gone = request.transport is None or request.transport.is_closing()
        return web.Response(status=500) if gone else response

    return answer


def silent(over: asyncio.Event) -> Answer:
    """Never answers until `over` is set; then it accepts what comes from then on."""

    async def answer(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        if over.is_set():
            return web.json_response({})
        await over.wait()
        return web.Response(status=500)

    return answer


def slow(seconds: float, began: asyncio.Event | None = None) -> Answer:
    """Takes its time for each answer; `began` is set when the first request is there."""

    async def answer(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        if began:
            began.set()
        await asyncio.sleep(seconds)
        return web.json_response({})

    return answer
