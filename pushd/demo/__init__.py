"""See pushd work: a real PostgreSQL, the very files of sql/, two receivers, the very daemon, and rows as they come."""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file
from typing import Any

import orjson
import psycopg
from aiohttp import web

from pushd import migrations
from pushd.demo.postgres import Cluster
from pushd.demo.process import DaemonProcess
from pushd.demo.receiver import Receiver, accept

Say = Callable[[str], None]

_ARRIVE_BOUND = 12.0  # seconds for everything to arrive
_READY_BOUND = 15.0
_STOP_BOUND = 15.0
_FAILURES = 2

_INSERT = """
    insert into ocr_wallet_info (
        source_ip, msg_id, group_id, wallet_code, serial_no, wx_id, wx_nick_name, pic_url, create_time
    )
    values (
        '192.168.1.100', %(msg_id)s, 'group123@chatroom', %(wallet_code)s, %(serial_no)s, 'user123', %(nick)s, %(pic)s,
        now() - %(age)s * interval '1 second'
    )
    returning id
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """A row of the story: what makes it worth telling, and how old it is when it is inserted, in seconds."""

    wallet_code: str
    nick: str
    remark: str = ""
    age: int = 0


_STALE = Sample("STALE0000006", "路人甲", "ten minutes old: nobody wants it any more", age=600)
_REFUSED = Sample("ABC123DEF458", "王五 🎉", f"the second receiver answers 503 {_FAILURES} times first")
_STORY = (
    Sample("ABC123DEF456", "张三"),
    Sample("ABC123DEF457", 'O\'Neil "the wallet"', "quotes"),
    _REFUSED,
    _STALE,
    Sample("ABC123DEF459", "李四"),
)


async def tell(say: Say, *, keep: bool) -> bool:
    """Tell the story; answers whether every fresh row arrived at both receivers, and the stale one at none."""
    say("Starting a PostgreSQL of its own …")
    with Cluster() as cluster:
        with as_file(migrations.directory()) as folder:
            for file in sorted(folder.glob("*.up.sql")):
                cluster.psql("-1", "-f", file)
        cluster.psql("-c", "create role ocr_service login; grant insert, select on ocr_wallet_info to ocr_service")
        cluster.psql("-c", "grant usage on sequence ocr_wallet_info_id_seq to ocr_service")
        say(f"Applied with psql: {', '.join(map(str, migrations.available()))}")
        async with Receiver() as first, Receiver(_refuse_at_first()) as second:
            async with DaemonProcess(cluster.folder, _config(cluster, first, second)) as daemon:
                await daemon.ready()
                stats_url = await daemon.stats_url()
                say(f"Receivers listen on {first.url()} and {second.url()}; the daemon is ready.\n")
                good = await _story(say, cluster, first, second)
                say("\n" + _told(stats_url, await daemon.stats()))
                if keep:
                    await _stay(say, cluster, stats_url)
                await daemon.stop()
            say(
                "\nEvery fresh row arrived at both receivers, the stale one at none."
                if good
                else "\nThat is not as it should be."
            )
            return good


async def _story(say: Say, cluster: Cluster, first: Receiver, second: Receiver) -> bool:
    committed: dict[int, tuple[Sample, float]] = {}
    async with await psycopg.AsyncConnection.connect(cluster.dsn(user="ocr_service"), autocommit=True) as writer:
        for number, sample in enumerate(_STORY):
            parameters = {
                "msg_id": f"12345678{number}",
                "wallet_code": sample.wallet_code,
                "serial_no": f"SN78901234{number}",
                "nick": sample.nick,
                "pic": f"https://minio.example.com/images/wallet_{number}.jpg" if number % 2 == 0 else "",
                "age": sample.age,
            }
            cursor = await writer.execute(_INSERT, parameters)
            ((row_id,),) = await cursor.fetchall()
            committed[row_id] = (sample, time.time())
            await asyncio.sleep(0.2)  # as an OCR service would: one after the other
    fresh = Counter(row_id for row_id, (sample, _) in committed.items() if not sample.age)
    with contextlib.suppress(TimeoutError):
        for receiver in (first, second):
            await receiver.until_accepted(fresh, _ARRIVE_BOUND)
    for row_id, (sample, at) in committed.items():
        _journey(say, row_id, sample, at, {"first": first, "second": second})
    return all(receiver.accepted_rows == fresh for receiver in (first, second))


def _journey(say: Say, row_id: int, sample: Sample, committed: float, receivers: dict[str, Receiver]) -> None:
    say(f"row {row_id}  {sample.wallet_code}  {sample.nick}" + (f"  ({sample.remark})" if sample.remark else ""))
    for name, receiver in receivers.items():
        came = [arrival for arrival in receiver.arrivals if arrival.row_id == row_id]
        steps = [f"+{(arrival.at - committed) * 1000:.1f} ms → {arrival.status}" for arrival in came]
        say(f"    {name:<6}  {', '.join(steps) or 'nothing'}")


def _refuse_at_first() -> Callable[..., Any]:
    left = _FAILURES

    async def answer(receiver: Receiver, request: web.Request, raw: bytes) -> web.StreamResponse:
        nonlocal left
        if left and orjson.loads(raw)["data"]["wallet_code"] == _REFUSED.wallet_code:
            left -= 1
            return web.json_response({"success": False}, status=503)
        return await accept(receiver, request, raw)

    return answer


def _config(cluster: Cluster, first: Receiver, second: Receiver) -> str:
    return f"""
[webhook]
urls = ["{first.url()}", "{second.url()}"]
retry_interval = "500ms"
[database]
dsn = "{cluster.dsn(user="pushd_daemon")}"
[server]
port = 0
"""


def _told(stats_url: str, stats: dict[str, Any]) -> str:
    figures = {key: value for key, value in stats.items() if key != "endpoints"}
    return f"GET {stats_url}\n" + "\n".join(f"    {key:<20} {value}" for key, value in figures.items())


async def _stay(say: Say, cluster: Cluster, stats_url: str) -> None:
    say("\nStaying up until Ctrl-C. Statistics:  " + stats_url)
    say("Insert a row:")
    insert = "insert into ocr_wallet_info (wallet_code, wx_nick_name) values ('XYZ', '赵六')"
    say(f'    {cluster.programs / "psql"} "{cluster.dsn(user="ocr_service")}" -c "{insert}"')
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
