"""What a POST costs by itself: pushd's webhook, libcurl on the event loop, against aiohttp's client at its best.

Run as `python -m bench.clients`. Both have uvloop, kept connections and a body made beforehand; aiohttp has its URL
and headers made beforehand too, and no cookies. They take turns, so the ratios hold where the machine's speed does not.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

import aiohttp
import uvloop
import yarl

from bench.receiving import receiving
from pushd import config
from pushd.webhook import Webhook

_BODY = b'{"event_type":"ocr_wallet_data","timestamp":1703123456,"data":{"id":123,"wallet_code":"ABC123DEF456"}}'
_ROUNDS = 5

Post = Callable[[], Awaitable[object]]


def _libcurl(webhook: Webhook) -> Post:
    async def post() -> None:
        if (await webhook.post(_BODY, "123-1-1")).status != 200:
            raise RuntimeError("not taken")

    return post


def _aiohttp(session: aiohttp.ClientSession, url: yarl.URL) -> Post:
    headers = {"Content-Type": "application/json", "User-Agent": "bench", "webhook-id": "123-1-1"}

    async def post() -> None:
        async with session.post(url, data=_BODY, headers=headers) as response:
            await response.read()
            response.raise_for_status()

    return post


async def _cost(post: Post, at_a_time: int, requests: int) -> float:
    """Answer the µs of this process's CPU for each request."""

    async def one_after_the_other() -> None:
        for _ in range(requests // at_a_time):
            await post()

    before = time.process_time()
    await asyncio.gather(*(one_after_the_other() for _ in range(at_a_time)))
    return (time.process_time() - before) / (requests // at_a_time * at_a_time) * 1e6


async def _compare(url: str, at_a_time: int, requests: int) -> list[tuple[float, float]]:
    """Answer what each has cost, libcurl first, turn by turn."""
    endpoint = config.Webhook(urls=(url,), concurrent_pushers=at_a_time).endpoints[0]
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        Webhook(endpoint) as webhook,
        aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        clients = _libcurl(webhook), _aiohttp(session, yarl.URL(url))
        for post in clients:
            await _cost(post, at_a_time, requests // 10)  # until connections are open, and the code is warm
        return [
            (await _cost(clients[0], at_a_time, requests), await _cost(clients[1], at_a_time, requests))
            for _ in range(_ROUNDS)
        ]


async def _main(requests: int) -> None:
    print("at a time  libcurl µs  aiohttp µs  libcurl/aiohttp")
    async with receiving() as receiver:
        for at_a_time in (1, 3, 16, 64):
            turns = await _compare(receiver.url, at_a_time, requests)
            libcurl, other = (statistics.median(each) for each in zip(*turns, strict=True))
            ratio = statistics.median(one / two for one, two in turns)
            print(f"{at_a_time:9}  {libcurl:10.0f}  {other:10.0f}  {ratio:15.2f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=5000)
    uvloop.run(_main(parser.parse_args().requests))
