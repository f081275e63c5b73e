"""From the commit of a row to the request at the receiver, on the real parts."""

import asyncio
import re
import signal
import time

import pytest
from aiohttp import web
from conftest import Database, StartDaemon, connect
from psycopg import sql

from pushd.demo.receiver import Receiver, accept

# a row's way ------------------------------------------------------------------


async def test_new_row_is_posted_to_every_endpoint(database: Database, start_daemon: StartDaemon) -> None:
    """Each configured URL is POSTed each fresh row once, and the ledger says so."""
    async with Receiver() as first, Receiver() as second:
        await start_daemon([first.url("/a"), second.url("/b")])
        row_id = database.insert()
        await first.until_accepted([row_id])
        await second.until_accepted([row_id])
        assert first.accepted_rows == second.accepted_rows == {row_id: 1}
        await database.until("select state, count(*) from pushd.history group by 1", [("delivered", 2)])


async def test_table_that_is_away_for_a_while_is_waited_for(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """A DBA has it under another name: the daemon says so, and goes on when it is back, as the same process."""
    daemon = await start_daemon([receiver.url()])
    await receiver.until_accepted([database.insert()])
    database.execute("alter table ocr_wallet_info rename to elsewhere")
    await daemon.line("ERROR no table is called public.ocr_wallet_info any more")
    database.execute("insert into elsewhere (wallet_code) values ('A')")
    database.execute("alter table elsewhere rename to ocr_wallet_info")
    await receiver.until_accepted([2, database.insert()], within=15)
    assert await daemon.stop() == 0
    assert set(database.history().values()) == {"delivered"}


async def test_request_is_the_specifications_byte_for_byte(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """Method, headers, keys, nesting, order and types are those of the specification."""
    await start_daemon([receiver.url("/webhook/ocr-wallet")])
    row_id = database.insert(
        source_ip="192.168.1.100",
        msg_id="123456789",
        group_id="group123@chatroom",
        wallet_code="ABC123DEF456",
        serial_no="SN789012345",
        wx_id="user123",
        wx_nick_name="张三",
        pic_url="https://minio.example.com/images/wallet_123.jpg",
    )
    await receiver.until_accepted([row_id])
    (arrival,) = receiver.arrivals
    assert arrival.headers["Content-Type"] == "application/json"
    assert arrival.headers["User-Agent"] == "wx-msg-chat-webhook/1.0"
    assert int(arrival.headers["Content-Length"]) == len(arrival.raw)
    text = arrival.raw.decode("utf-8")
    pattern = (
        r'\{"event_type":"ocr_wallet_data","timestamp":(\d+),"version":"1.0","source":"ocr_wallet_service",'
        r'"data":\{"id":%d,"source_ip":"192.168.1.100","msg_id":"123456789","group_id":"group123@chatroom",'
        r'"wallet_code":"ABC123DEF456","serial_no":"SN789012345","wx_id":"user123","wx_nick_name":"张三",'
        r'"pic_url":"https://minio.example.com/images/wallet_123.jpg","create_time":(\d+)\},'
        r'"metadata":\{"data_age_seconds":(\d+\.\d{1,3}),"push_source":"wx-msg-chat"\}\}'
    )
    matched = re.fullmatch(pattern % row_id, text)
    assert matched, text
    timestamp, create_time, age = int(matched[1]), int(matched[2]), float(matched[3])
    ((now,),) = database.execute("select extract(epoch from now())::float8")
    assert now - 10 < create_time <= timestamp <= now
    assert 0 <= age < 5


async def test_missing_values_are_null_and_an_empty_picture_is_left_out(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """NULL becomes null; pic_url, NULL or empty, is not there at all."""
    await start_daemon([receiver.url()])
    rows = [database.insert(), database.insert(pic_url="", wx_nick_name="")]
    await receiver.until_accepted(rows)
    by_id = {arrival.row_id: arrival.body["data"] for arrival in receiver.arrivals}
    assert by_id[rows[0]] == {
        "id": rows[0],
        "source_ip": None,
        "msg_id": None,
        "group_id": None,
        "wallet_code": "ABC123",
        "serial_no": None,
        "wx_id": None,
        "wx_nick_name": None,
        "create_time": by_id[rows[0]]["create_time"],
    }
    assert "pic_url" not in by_id[rows[1]]
    assert by_id[rows[1]]["wx_nick_name"] == ""


@pytest.mark.parametrize(
    "text",
    [
        "张三李四",
        "🎉👨‍👩‍👧‍👦",
        "\"double\" 'single' \\ back",
        "\x01\x02\x1f\x7f\x85 \u2028\u2029 \r\n\t",
        "<script>alert(1)</script>",
        "x" * 1_000_000,
        "汉" * 350_000,
    ],
    ids=["chinese", "emoji", "quotes", "controls", "html", "a megabyte", "a megabyte of chinese"],
)
async def test_any_text_arrives_unchanged(
    database: Database, start_daemon: StartDaemon, receiver: Receiver, text: str
) -> None:
    """What the application stored is what the receiver reads, unescaped where JSON allows."""
    await start_daemon([receiver.url()])
    row_id = database.insert(wx_nick_name=text, wallet_code=text)
    await receiver.until_accepted([row_id])
    data = receiver.arrivals[0].body["data"]
    assert data["wx_nick_name"] == data["wallet_code"] == text
    if text.isprintable() and '"' not in text:
        assert text.encode("utf-8") in receiver.arrivals[0].raw


async def test_rows_without_a_wallet_code_are_no_candidates(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """NULL and empty codes are never pushed, nor is there anything in the ledger of them."""
    await start_daemon([receiver.url()])
    database.insert(wallet_code=None)
    database.insert(wallet_code="")
    row_id = database.insert()
    await receiver.until_accepted([row_id])
    assert receiver.accepted_rows == {row_id: 1}
    assert set(database.history()) == {(row_id, receiver.url()[7:])}


async def test_row_that_comes_stale_is_recorded_and_not_pushed(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """Older than data_expiry when it is loaded: expired, with the specification's line."""
    daemon = await start_daemon([receiver.url()], data_expiry="30s")
    stale = database.insert_aged(31)
    fresh = database.insert_aged(20)
    await receiver.until_accepted([fresh])
    line = await daemon.line("数据已过期，跳过推送")
    assert re.search(
        rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d DEBUG 数据已过期，跳过推送 id={stale} "
        r"create_time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ( |$)",
        line,
    )
    name = receiver.url()[7:]
    await database.until(
        "select row_id, state from pushd.history order by 1", [(stale, "expired"), (fresh, "delivered")]
    )
    assert receiver.accepted_rows == {fresh: 1}
    assert database.history()[stale, name] == "expired"


async def test_row_that_goes_stale_while_it_waits_is_not_pushed(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """Freshness is judged again before every attempt: the queue does not stop the clock."""

    async def slow(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        await asyncio.sleep(1.5)
        return web.json_response({})

    receiver.answer = slow
    await start_daemon([receiver.url()], data_expiry="2s", concurrent_pushers=1)
    rows = [database.insert() for _ in range(3)]
    await database.until(
        "select row_id, state from pushd.history order by 1",
        list(zip(rows, ("delivered", "delivered", "expired"), strict=True)),
    )
    assert set(receiver.accepted_rows) == set(rows[:2])


async def test_rows_of_before_the_start_are_found(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """The first sweep finds what was committed while no daemon ran, if it is fresh."""
    early = database.insert()
    database.insert_aged(400)
    await start_daemon([receiver.url()])
    await receiver.until_accepted([early])
    assert set(receiver.accepted_rows) == {early}


async def test_many_rows_in_one_commit_all_arrive_once(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """More than a notification can name, and more than a lane can hold."""
    await start_daemon([receiver.url()], queue_size=50, log="warn", ready=False)
    database.execute("insert into ocr_wallet_info (wallet_code) select 'A' || n from generate_series(1, 2000) as n")
    await receiver.until(lambda: len(receiver.accepted_rows) == 2000, 30)
    assert set(receiver.accepted_rows.values()) == {1}


async def test_row_of_a_transaction_that_was_open_before_the_start_arrives(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """Its trigger found nobody asleep and rang no bell; it is found all the same."""
    with connect(database.dsn) as writer:
        writer.execute("begin")
        ((row_id,),) = writer.execute(
            "insert into ocr_wallet_info (wallet_code) values ('OPEN') returning id"
        ).fetchall()
        daemon = await start_daemon([receiver.url()], ready=False)
        await daemon.ready()
        assert not receiver.arrivals
        writer.execute("commit")
        await receiver.until_accepted([row_id], within=3)
    await daemon.doorbell_held()


async def test_rolled_back_row_is_not_pushed(database: Database, start_daemon: StartDaemon, receiver: Receiver) -> None:
    """Only what is committed exists."""
    await start_daemon([receiver.url()])
    with connect(database.dsn) as writer:
        writer.execute("begin")
        writer.execute("insert into ocr_wallet_info (wallet_code) values ('NEVER')")
        writer.execute("rollback")
    row_id = database.insert()
    await receiver.until_accepted([row_id])
    assert receiver.accepted_rows == {row_id: 1}


# retries ----------------------------------------------------------------------


async def test_failed_attempts_are_repeated_with_the_same_id(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """503, 503, 200: one delivery, three attempts, one webhook-id, waits that double give or take a fifth."""

    async def third_time(receiver: Receiver, _: web.Request, __: bytes) -> web.StreamResponse:
        return web.json_response({}, status=200 if len(receiver.arrivals) == 2 else 503)

    receiver.answer = third_time
    await start_daemon([receiver.url()], retry_interval="200ms")
    row_id = database.insert()
    await receiver.until_accepted([row_id])
    assert len({arrival.webhook_id for arrival in receiver.arrivals}) == 1
    first, second, third = (arrival.at for arrival in receiver.arrivals)
    assert 0.16 <= second - first <= 0.5
    assert 0.32 <= third - second <= 0.9
    ages = [arrival.body["metadata"]["data_age_seconds"] for arrival in receiver.arrivals]
    assert ages == sorted(ages)
    assert ages[2] - ages[0] == pytest.approx(third - first, abs=0.1)
    await database.until("select state, attempts, status from pushd.history", [("delivered", 3, 200)])


async def test_refused_for_ever_ends_as_failed(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """max_retries attempts after the first, then the specification's line, without user, password or query."""

    async def never(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        return web.json_response({}, status=500)

    receiver.answer = never
    secret = receiver.url("/hook?token=s3cret").replace("http://", "http://user:pa55@")
    daemon = await start_daemon([secret], max_retries=2)
    row_id = database.insert()
    line = await daemon.line("推送失败")
    shown = receiver.url("/hook")
    assert re.search(
        rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d WARN  推送失败，已达最大重试次数 url={shown} id={row_id} attempts=3 ", line
    )
    await database.until("select state, attempts, status from pushd.history", [("failed", 3, 500)])
    assert receiver.arrivals[0].headers["Authorization"].startswith("Basic ")
    assert not any("s3cret" in line or "pa55" in line for line in daemon.lines)
    stats = await daemon.stats()
    assert (stats["total_pushed"], stats["success_count"], stats["failure_count"]) == (1, 0, 1)


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 404, 410, 422])
async def test_final_answers_are_not_retried(
    database: Database, start_daemon: StartDaemon, receiver: Receiver, status: int
) -> None:
    """Asking again would not help; redirects are not followed."""

    async def final(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": "/elsewhere"})

    receiver.answer = final
    await start_daemon([receiver.url()])
    database.insert()
    await database.until("select state, attempts, status from pushd.history", [("failed", 1, status)])
    assert len(receiver.arrivals) == 1


async def test_retry_after_is_honoured_inside_the_deadline(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """429 with Retry-After: 1 waits a second, not retry_interval; one beyond the row's freshness ends it."""

    async def busy(receiver: Receiver, _: web.Request, raw: bytes) -> web.StreamResponse:
        if b'"HOPELESS"' in raw:
            return web.Response(status=429, headers={"Retry-After": "3600"})
        first = sum(b'"HOPELESS"' not in arrival.raw for arrival in receiver.arrivals) == 0
        return web.Response(status=429, headers={"Retry-After": "1"}) if first else web.json_response({})

    receiver.answer = busy
    await start_daemon([receiver.url()])
    row_id = database.insert()
    await receiver.until_accepted([row_id])
    first, second = (arrival.at for arrival in receiver.arrivals)
    assert 1.0 <= second - first < 1.6
    hopeless = database.insert(wallet_code="HOPELESS")
    await database.until(
        f"select state, attempts, status from pushd.history where row_id = {hopeless}", [("failed", 1, 429)]
    )


# one bad endpoint hurts only itself -------------------------------------------


async def test_healthy_endpoint_is_fast_beside_a_dead_and_a_silent_one(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """Connection refused, and never an answer: neither delays the third."""

    async def silence(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    async with Receiver(silence) as silent, Receiver() as dead:
        await dead.refuse()
        await start_daemon([dead.url(), silent.url(), receiver.url()], timeout="30s", log="debug")
        committed = {}
        for _ in range(40):
            row_id = database.insert()
            committed[row_id] = time.time()
            await asyncio.sleep(0.02)  # the rate at which rows come
        await receiver.until_accepted(committed)
        delays = sorted(arrival.at - committed[arrival.row_id] for arrival in receiver.arrivals)
        assert delays[-1] < 0.1, delays


async def test_whole_attempt_has_one_deadline(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """An answer that drips is an answer too late, even though every byte comes in time."""

    async def drip(_: Receiver, request: web.Request, __: bytes) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _byte in range(100):
            await response.write(b" ")
            await asyncio.sleep(0.1)
        return response

    receiver.answer = drip
    await start_daemon([receiver.url()], timeout="500ms", max_retries=0)
    database.insert()
    await database.until(
        "select state, attempts, status, error, response_ms between 450 and 1500 from pushd.history",
        [("failed", 1, None, "no whole answer within 0.5 s", True)],
    )


# statistics and log lines -----------------------------------------------------


async def test_statistics_begin_with_the_specifications_figures(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """Those five first and exact; then what is under way; and every claim is accounted for."""
    daemon = await start_daemon([receiver.url()])
    before = await daemon.stats()
    assert list(before)[:5] == [
        "total_pushed",
        "success_count",
        "failure_count",
        "last_push_time",
        "average_delay_ms",
    ]
    assert [before[key] for key in list(before)[:5]] == [0, 0, 0, None, 0]
    rows = [database.insert() for _ in range(3)]
    await receiver.until_accepted(rows)
    await database.until("select count(*) from pushd.history where state = 'delivered'", [(3,)])
    after = await daemon.stats()
    assert (after["total_pushed"], after["success_count"], after["failure_count"]) == (3, 3, 0)
    ((now,),) = database.execute("select extract(epoch from now())::int8")
    assert now - 10 <= after["last_push_time"] <= now
    assert isinstance(after["average_delay_ms"], int)
    ended = sum(after[outcome] for outcome in ("delivered", "failed", "expired", "filtered", "released", "in_flight"))
    assert after["claimed"] == ended == 3


async def test_success_is_logged_in_the_specifications_words(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """One INFO line a delivery; a wallet code cannot forge a field or a line."""
    daemon = await start_daemon([receiver.url()], log="debug")
    row_id = database.insert(wallet_code="ABC123")
    line = await daemon.line("OCR钱包数据推送成功")
    assert re.search(
        rf"^\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d INFO  OCR钱包数据推送成功 id={row_id} wallet_code=ABC123 ", line
    )
    database.insert(wallet_code="A id=999\n2024-01-01 10:00:00 INFO  forged")
    forged = await daemon.line("forged")
    assert 'wallet_code="A id=999\\n2024-01-01 10:00:00 INFO  forged"' in forged


# starting and stopping --------------------------------------------------------


async def test_disabled_daemon_serves_statistics_and_claims_nothing(
    database: Database, start_daemon: StartDaemon
) -> None:
    """Enabled = false needs no URL and no database."""
    daemon = await start_daemon([], enabled=False, ready=False)
    await daemon.ready()
    database.insert()
    assert (await daemon.stats())["claimed"] == 0
    assert await daemon.stop() == 0
    assert database.history() == {}


async def test_sigterm_lets_what_is_claimed_end_and_exits_zero(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """Rows in hand are delivered and settled before the end; rows that come later wait in the table."""
    began = asyncio.Event()

    async def slow(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        began.set()
        await asyncio.sleep(0.5)
        return web.json_response({})

    receiver.answer = slow
    daemon = await start_daemon([receiver.url()], concurrent_pushers=1)
    rows = [database.insert() for _ in range(3)]
    await database.until("select count(*) from pushd.delivery", [(3,)])
    async with asyncio.timeout(5):
        await began.wait()
    assert await daemon.stop() == 0
    assert receiver.accepted_rows == dict.fromkeys(rows, 1)
    assert set(database.history().values()) == {"delivered"}
    assert any("STOPPING=1" in state for state in daemon.states)


async def test_stop_without_a_database_complains_only_of_what_is_left(
    server: str, database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """Nothing was: then nothing is pushed again, and there is nothing to look after."""
    daemon = await start_daemon([receiver.url()])
    await receiver.until_accepted([database.insert()])
    await database.until("select state from pushd.history", [("delivered",)])
    with connect(server) as owner:
        owner.execute(sql.SQL("alter database {} allow_connections false").format(sql.Identifier(database.name)))
        owner.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [database.name])
    assert await daemon.stop() == 0
    assert not [line for line in daemon.lines if "not all outcomes are written" in line]
    assert [line for line in daemon.lines if "nothing was left to be written" in line]


async def test_claims_that_cannot_end_in_time_are_given_up(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """After shutdown_timeout the rest goes back to the table, and the next start pushes it."""

    async def silence(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    receiver.answer = silence
    daemon = await start_daemon([receiver.url()], extra='[daemon]\nshutdown_timeout = "300ms"', timeout="60s")
    rows = [database.insert() for _ in range(5)]
    await database.until("select count(*) from pushd.delivery", [(5,)])
    assert await daemon.stop() == 0
    assert database.history() == {}
    receiver.answer = accept
    await start_daemon([receiver.url()])
    await receiver.until_accepted(rows)


async def test_killed_daemons_claims_are_taken_up_by_its_next_life(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """Kill -9 loses nothing: a daemon of the same name gives up the claims of which it knows nothing."""

    async def silence(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    receiver.answer = silence
    daemon = await start_daemon([receiver.url()], timeout="60s")
    rows = [database.insert() for _ in range(5)]
    await database.until("select count(*) from pushd.delivery", [(5,)])
    daemon.send(signal.SIGKILL)
    await daemon.ended()
    receiver.answer = accept
    await start_daemon([receiver.url()])
    await receiver.until_accepted(rows)
    await database.until("select state, count(*) from pushd.history group by 1", [("delivered", 5)])
