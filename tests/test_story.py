"""The story of a row, and whether what it says happens next is what happens."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from conftest import Database, StartDaemon, configuration
from test_cli import pushctl

from pushd import postgres
from pushd.config import Config
from pushd.configfile import load
from pushd.demo.receiver import Receiver
from pushd.story import Chapter, Prospect, Story, tell, what_next, why_no_candidate

OPEN = Prospect(found=True, age=10.0, data_expiry=300.0, why_no_candidate=None, enabled=True, claiming=True)
KNOWN = Chapter("a.example/hook", endpoint_id=1, owed=True)
CLAIMED = replace(KNOWN, state="claimed", daemon="one", daemon_alive=True)


# what happens next ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("chapter", "prospect", "says"),
    [
        (KNOWN, OPEN, "a daemon takes it as soon as its queue has room: within 5 s"),
        (KNOWN, replace(OPEN, age=-3600.0), "a daemon takes it as soon as"),
        (KNOWN, replace(OPEN, claiming=False), "waits for one to start; it stays fresh for another 290.0 s"),
        (KNOWN, replace(OPEN, age=300.0), "nobody took it while it was fresh: recorded as expired within 5 s"),
        (KNOWN, replace(OPEN, age=300.0, claiming=False), "waits for one to start; to be recorded as expired"),
        (KNOWN, replace(OPEN, age=1e6), "nothing: it is too old, even to be recorded"),
        (KNOWN, replace(OPEN, enabled=False), "nothing: webhook.enabled is false"),
        (KNOWN, replace(OPEN, why_no_candidate="it has no wallet_code"), "nothing: it has no wallet_code"),
        (replace(KNOWN, endpoint_id=None), OPEN, "nothing: no daemon has this endpoint yet"),
        (CLAIMED, OPEN, "one pushes it, or tries again, for another 290.0 s"),
        (CLAIMED, replace(OPEN, age=301.0), "one records its outcome"),
        (replace(CLAIMED, daemon_alive=False), OPEN, "another daemon takes it over within 12 s"),
        (replace(CLAIMED, daemon_alive=False), replace(OPEN, age=301.0), "records its outcome within 12 s"),
        (replace(CLAIMED, daemon_alive=False), replace(OPEN, claiming=False), "it waits for one to start"),
        (replace(KNOWN, state="failed"), OPEN, "nothing: this is its outcome"),
    ],
)
def test_what_happens_next(chapter: Chapter, prospect: Prospect, says: str) -> None:
    """In every state that a row can be in."""
    assert says in what_next(chapter, prospect)


@pytest.mark.parametrize(
    ("facts", "says"),
    [
        ({"found": False}, "no such row"),
        ({"coded": False}, "it has no wallet_code"),
        ({"age": None, "written": None}, "it has no create_time"),
        ({"age": None, "written": "infinity"}, "not a time from 1970 to 2200"),
        ({}, None),
    ],
)
def test_why_a_row_is_no_candidate(facts: dict[str, Any], says: str | None) -> None:
    """Whatever its age."""
    known: dict[str, Any] = {"found": True, "coded": True, "written": "2026-01-31 08:00:00+00", "age": 1.0}
    why = why_no_candidate(**{**known, **facts})
    assert why is None if says is None else says in str(why)


# what is found --------------------------------------------------------------------


@pytest.fixture
def config(database: Database, tmp_path: Path, receiver: Receiver) -> Config:
    return config_of(tmp_path, database, receiver.url())


def config_of(folder: Path, database: Database, *urls: str, **webhook: Any) -> Config:
    path = folder / "config.toml"
    path.write_text(configuration(database.daemon_dsn, urls, **webhook), "utf-8")
    return load(path, {})


async def told(config: Config, row_id: int) -> Story:
    async with postgres.connect(config.database.dsn.get_secret_value(), "test") as connection:
        return await tell(connection, config, row_id)


def nexts(story: Story) -> list[str]:
    return [what_next(chapter, story.prospect) for chapter in story.chapters]


async def test_row_before_the_first_start(config: Config, database: Database) -> None:
    """It is looked at with the table and the configuration alone."""
    story = await told(config, database.insert())
    assert story.prospect.fresh
    assert [chapter.state for chapter in story.chapters] == [None]
    assert nexts(story) == ["nothing: no daemon has this endpoint yet; it is owed what comes once one has"]
    assert story.body is not None


async def test_delivered_row(config: Config, database: Database, start_daemon: StartDaemon, receiver: Receiver) -> None:
    """With what the receiver knows it by, and the body that it was sent, but for the ages in it."""
    await start_daemon([receiver.url()])
    row_id = database.insert(wx_nick_name="张三", pic_url="https://a.example/p.png")
    await database.until("select count(*) from pushd.history where state = 'delivered'", [(1,)])
    story = await told(config, row_id)
    (chapter,) = story.chapters
    (arrival,) = receiver.arrivals
    assert (chapter.state, chapter.attempts, chapter.status, chapter.error) == ("delivered", 1, 200, None)
    assert story.webhook_id(chapter) == arrival.headers["webhook-id"]
    assert json.loads(story.body or b"")["data"] == arrival.body["data"]
    assert nexts(story) == ["nothing: this is its outcome"]


async def test_row_that_is_being_pushed(
    config: Config, database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """It is the daemon's until the receiver has answered; when that one is killed, nobody's for long."""
    asked, held = asyncio.Event(), asyncio.Event()

    async def hold(_: Receiver, __: web.Request, ___: bytes) -> web.StreamResponse:
        asked.set()
        await held.wait()
        return web.Response()

    receiver.answer = hold
    daemon = await start_daemon([receiver.url()])
    row_id = database.insert()
    try:
        async with asyncio.timeout(10):
            await asked.wait()
        story = await told(config, row_id)
        (chapter,) = story.chapters
        assert (chapter.state, chapter.daemon_alive, chapter.attempts) == ("claimed", True, None)
        assert "pushes it, or tries again" in nexts(story)[0]
    finally:
        held.set()
    assert chapter.daemon == config.daemon.name
    await daemon.stop()


async def test_row_that_is_older_than_the_endpoint(
    database: Database, tmp_path: Path, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """It says from when on the endpoint is owed rows; the other endpoint has it."""
    daemon = await start_daemon([receiver.url()])
    row_id = database.insert()
    await receiver.until_accepted([row_id])
    await daemon.stop()
    async with Receiver() as other:
        await start_daemon([receiver.url(), other.url()])
        story = await told(config_of(tmp_path, database, receiver.url(), other.url()), row_id)
    assert [chapter.state for chapter in story.chapters] == ["delivered", None]
    assert [chapter.owed for chapter in story.chapters] == [True, False]
    assert "it is older than the endpoint, which is owed rows from 20" in nexts(story)[1]


async def test_row_that_has_been_deleted(
    config: Config, database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """The ledger still knows what became of it, though not what it held."""
    await start_daemon([receiver.url()])
    row_id = database.insert()
    await database.until("select count(*) from pushd.history where state = 'delivered'", [(1,)])
    database.execute("delete from ocr_wallet_info")
    story = await told(config, row_id)
    assert (story.prospect.found, story.body) == (False, None)
    assert [chapter.state for chapter in story.chapters] == ["delivered"]
    assert [story.webhook_id(chapter) for chapter in story.chapters] == [None]


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"wallet_code": ""}, "no wallet_code"),
        ({"create_time": "infinity"}, "not a time from"),
        ({"create_time": None}, "no create_time"),
    ],
    ids=["code", "infinity", "null"],
)
async def test_row_that_is_no_candidate(config: Config, database: Database, columns: dict[str, Any], says: str) -> None:
    """Nothing would be sent, and it says why."""
    database.execute("alter table ocr_wallet_info alter create_time drop not null")
    story = await told(config, database.insert(**columns))
    assert says in str(story.prospect.why_no_candidate)
    assert story.body is None


# the command ----------------------------------------------------------------------


async def test_command_tells_it_for_people_and_for_machines(config: Config, database: Database, tmp_path: Path) -> None:
    """What a row holds cannot steer a terminal, and is whole in JSON."""
    row_id = database.insert(wx_nick_name="张三\x1b[2J")
    path = tmp_path / "config.toml"
    shown = pushctl("explain", "-c", path, str(row_id))
    assert shown.returncode == 0, shown.stderr
    assert "\x1b" not in shown.stdout
    assert f'"id": {row_id},' in shown.stdout
    assert "fresh for another 2" in shown.stdout
    asked = pushctl("explain", "-c", path, "--json", str(row_id))
    answer = json.loads(asked.stdout)
    assert answer["envelope"]["data"]["wx_nick_name"] == "张三\x1b[2J"
    assert [each["endpoint"] for each in answer["endpoints"]] == [config.webhook.endpoints[0].name]
    assert answer["candidate"]
    assert answer["fresh"]


@pytest.mark.usefixtures("config")
@pytest.mark.parametrize(("age", "says"), [(0, "would be sent:"), (7200, "would be sent, were it fresh:")])
def test_command_does_not_promise_what_is_stale(age: int, says: str, database: Database, tmp_path: Path) -> None:
    """The envelope is shown all the same."""
    shown = pushctl("explain", "-c", tmp_path / "config.toml", str(database.insert_aged(age)))
    assert says in shown.stdout.splitlines()


@pytest.mark.usefixtures("config")
def test_command_exits_1_for_a_row_that_nobody_knows(tmp_path: Path) -> None:
    """And says that it may not have been committed."""
    done = pushctl("explain", "-c", tmp_path / "config.toml", "999999")
    assert done.returncode == 1
    assert "no such row in the watched table, or its transaction has not committed" in done.stdout


@pytest.mark.parametrize("row_id", ["abc", str(2**63)])
@pytest.mark.usefixtures("config")
def test_command_refuses_what_is_no_id(tmp_path: Path, row_id: str) -> None:
    """As any wrong usage: exit 2."""
    assert pushctl("explain", "-c", tmp_path / "config.toml", row_id).returncode == 2


@pytest.mark.usefixtures("config")
def test_command_without_the_schema_names_the_doctor(database: Database, tmp_path: Path) -> None:
    """One line, and the exit code of what has to be mended first."""
    database.execute("drop schema pushd cascade")
    done = pushctl("explain", "-c", tmp_path / "config.toml", "1")
    assert done.returncode == 78
    assert done.stderr.startswith("pushctl: ")
    assert len(done.stderr.splitlines()) == 1
