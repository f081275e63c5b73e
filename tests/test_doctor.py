"""What the doctor finds, and whether what it says mends it."""

import asyncio
import json
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Database, StartDaemon, configuration
from test_cli import pushctl
from test_preparation import pgbouncer

from pushd.config import Config
from pushd.configfile import load
from pushd.demo.receiver import Receiver
from pushd.doctor import Finding, Verdict, examine, names
from pushd.doctor.releases import known


def nothing() -> None:
    """Nobody watches."""


def config_of(folder: Path, dsn: str, *urls: str, **webhook: Any) -> Config:
    path = folder / "config.toml"
    path.write_text(configuration(dsn, urls or ["http://127.0.0.1:1/a"], **webhook), "utf-8")
    return load(path, {})


async def found(config: Config, *, push: bool = False) -> dict[str, Finding]:
    findings = await examine(config, push=push, on_finding=nothing)
    assert [finding.check for finding in findings] == list(names(config, push=push))
    return {finding.check: finding for finding in findings}


@pytest.fixture
def config(database: Database, tmp_path: Path) -> Config:
    return config_of(tmp_path, database.daemon_dsn)


# the database ---------------------------------------------------------------------


async def test_database_as_sql_makes_it_is_well(config: Config) -> None:
    """But for a daemon, which has not been started yet, and for an endpoint that there is not."""
    findings = await found(config)
    amiss = {name: each.verdict for name, each in findings.items() if each.verdict is not Verdict.OK}
    amiss.pop("release", None)  # the server that tests are given may be of any age
    assert amiss == {"daemon": Verdict.WARNING, "endpoint 127.0.0.1:1/a": Verdict.FAILED}
    assert "none of the name" in findings["daemon"].found


@pytest.mark.parametrize(
    ("check", "broken", "says"),
    [
        (
            "trigger",
            "select pushd.unwatch('ocr_wallet_info'); grant select on ocr_wallet_info to pushd_daemon",
            "missing",
        ),
        ("trigger", "alter table ocr_wallet_info disable trigger pushd_ring", "disabled"),
        (
            "trigger",
            (
                "drop trigger pushd_ring on ocr_wallet_info; create trigger pushd_ring after insert on ocr_wallet_info "
                "for each row execute function pushd.ring('pushd_ocr_wallet_info')"
            ),
            "not what pushd.watch makes",
        ),
        (
            "spare rights",
            "grant insert, truncate on ocr_wallet_info to pushd_daemon",
            "may insert, truncate on ocr_wallet_info",
        ),
        ("spare rights", "grant create on schema pushd to pushd_daemon", "may create objects in schema pushd"),
        ("spare rights", "grant delete on pushd.endpoint to pushd_daemon", "may delete on pushd.endpoint"),
        ("indexes", "drop index ocr_wallet_info_create_time_idx", "no index that begins with create_time"),
        (
            "table",
            "alter table ocr_wallet_info enable row level security",
            "row level security is on for public.ocr_wallet_info",
        ),
    ],
)
async def test_what_is_wrong_is_found_and_its_fix_mends_it(
    check: str, broken: str, says: str, config: Config, database: Database
) -> None:
    """The SQL is run as it is printed, line by line, by who may."""
    database.execute(broken)
    finding = (await found(config))[check]
    assert finding.verdict in {Verdict.FAILED, Verdict.WARNING}
    assert says in finding.found
    assert finding.fix
    for line in finding.fix.splitlines():
        database.execute(line)
    assert (await found(config))[check].verdict is Verdict.OK


@pytest.mark.parametrize(
    ("check", "broken", "says", "fix"),
    [
        (
            "migrations",
            "delete from pushd.migration where version = 4",
            "not in force: 0004_source",
            "0004_source.up.sql",
        ),
        (
            "functions",
            "create or replace function pushd.ring() returns trigger language plpgsql as 'begin return null; end'",
            "not as sql/ makes them: pushd.ring()",
            "psql -X -1 -v ON_ERROR_STOP=1 -f sql/0003_doorbell.up.sql",
        ),
        ("rights", "revoke insert on pushd.delivery from pushd_daemon", "may not insert on pushd.delivery", None),
        ("table", "drop table ocr_wallet_info", "no such table in this database", None),
    ],
)
async def test_what_sql_has_to_mend_is_told(  # noqa: PLR0917
    check: str, broken: str, says: str, fix: str | None, config: Config, database: Database
) -> None:
    """With the file to apply again."""
    database.execute(broken)
    finding = (await found(config))[check]
    assert finding.verdict is Verdict.FAILED
    assert says in finding.found
    assert fix is None or fix in str(finding.fix)


async def test_checks_go_on_past_one_that_fails(config: Config, database: Database) -> None:
    """Only those are skipped that would say the same again, and each says so."""
    database.execute("drop schema pushd cascade")
    findings = await found(config)
    assert findings["migrations"].verdict is Verdict.FAILED
    assert findings["table"].verdict is Verdict.OK
    assert findings["clock"].verdict is Verdict.OK
    assert {name for name, each in findings.items() if each.verdict is Verdict.SKIPPED} - {"release"} == {
        "trigger",
        "functions",
        "rights",
        "spare rights",
        "daemon",
    }
    assert findings["rights"].found == "it makes no sense without: migrations"


async def test_superuser_is_more_than_the_daemon_needs(database: Database, tmp_path: Path) -> None:
    """A warning, and nothing else is said of his rights."""
    finding = (await found(config_of(tmp_path, database.dsn)))["spare rights"]
    assert (finding.verdict, finding.found) == (
        Verdict.WARNING,
        "this role can do more than the daemon needs: is a superuser",
    )


async def test_role_that_waits_for_the_disk_is_warned_of(database: Database, tmp_path: Path) -> None:
    """The setting of the role is what counts, and its fix names it."""
    finding = (await found(config_of(tmp_path, database.dsn)))["synchronous_commit"]
    role = database.execute("select current_user::text")[0][0]
    assert (finding.verdict, finding.fix) == (Verdict.WARNING, f"alter role {role} set synchronous_commit = off;")


async def test_pooler_that_shares_sessions_is_found(database: Database, tmp_path: Path) -> None:
    """Everything else is looked at all the same."""
    with pgbouncer(database, "transaction") as dsn:
        findings = await found(config_of(tmp_path, dsn))
    assert findings["sessions"].verdict is Verdict.FAILED
    assert "a pooler (PgBouncer?)" in findings["sessions"].found
    assert findings["trigger"].verdict is Verdict.OK


async def test_server_that_only_reads_is_found(database: Database, tmp_path: Path) -> None:
    """A standby, or what behaves like one."""
    config = config_of(tmp_path, f"{database.daemon_dsn} options='-c default_transaction_read_only=on'")
    finding = (await found(config))["server"]
    assert finding.verdict is Verdict.FAILED
    assert finding.found.startswith("the server is a standby, where nothing can be written")


async def test_living_daemon_is_known_by_its_name(
    config: Config, database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """And by another name it is one that is alive beside ours."""
    daemon = await start_daemon([receiver.url()])
    assert (await found(config))["daemon"].verdict is Verdict.OK
    other = config.model_copy(update={"daemon": config.daemon.model_copy(update={"name": "another"})})
    finding = (await found(other))["daemon"]
    assert finding.verdict is Verdict.WARNING
    assert f"alive beside it: {config.daemon.name}" in finding.found
    await daemon.stop()
    assert "was last alive" in (await found(config))["daemon"].found
    assert database.execute("select count(*) from pushd.daemon") == [(1,)]


async def test_queue_of_notifications_is_looked_at(config: Config) -> None:
    """An empty one is well."""
    assert (await found(config))["notification queue"].found == "the notification queue is 0.0% full"


def test_release_with_a_bug_that_is_mended_is_known() -> None:
    """By major and minor version; nothing is said of what was not looked up."""
    assert [text.rpartition(" (")[2] for text in known(150_007)] == ["mended in 15.16)", "mended in 15.8)"]
    assert [text.rpartition(" (")[2] for text in known(170_007)] == ["mended in 17.8)"]
    assert list(known(180_002)) == list(known(150_016)) == list(known(140_000)) == list(known(190_000)) == []


# endpoints ------------------------------------------------------------------------


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of one who lets everybody connect and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
async def refusing() -> AsyncIterator[Receiver]:
    async def refuse(*_: object) -> Any:
        from aiohttp import web  # noqa: PLC0415 (for the one test that needs it)

        return web.Response(status=404)

    async with Receiver(refuse) as receiver:
        yield receiver


async def test_dead_endpoint_does_not_hold_up_the_others(
    database: Database, tmp_path: Path, receiver: Receiver, silent: int
) -> None:
    """Each has its own time, and its own reason."""
    urls = (f"https://127.0.0.1:{silent}/a", "http://no.such.invalid/b", "http://127.0.0.1:1/c", receiver.url("/d"))
    started = time.monotonic()
    findings = await found(config_of(tmp_path, database.daemon_dsn, *urls, timeout="1500ms"), push=True)
    assert time.monotonic() - started < 8
    reached = {name.rpartition("/")[2]: each for name, each in findings.items() if name.startswith("endpoint ")}
    assert reached["a"].found == "no connection within 1.5 s"
    assert reached["b"].found == "dns: no.such.invalid cannot be resolved"
    assert reached["c"].found == "connect: connection refused"
    assert reached["d"].found.startswith("connected in ")
    assert "mend the host in webhook.urls" in str(reached["b"].fix)
    pushed = {name.rpartition("/")[2]: each.verdict for name, each in findings.items() if name.startswith("push ")}
    assert pushed == {"a": Verdict.FAILED, "b": Verdict.FAILED, "c": Verdict.FAILED, "d": Verdict.OK}
    (arrival,) = receiver.arrivals
    assert arrival.body["data"]["wallet_code"] == "PUSHD-TEST"


async def test_nothing_is_pushed_unasked(database: Database, tmp_path: Path, receiver: Receiver) -> None:
    """Reaching an endpoint sends it no request."""
    findings = await found(config_of(tmp_path, database.daemon_dsn, receiver.url()))
    assert list(findings.values())[-1].verdict is Verdict.OK
    assert receiver.arrivals == []


async def test_plain_server_behind_https_is_a_tls_error(database: Database, tmp_path: Path, receiver: Receiver) -> None:
    """Found before any row is pushed."""
    url = receiver.url().replace("http:", "https:")
    finding = list((await found(config_of(tmp_path, database.daemon_dsn, url))).values())[-1]
    assert finding.verdict is Verdict.FAILED
    assert finding.found.startswith("tls: ")
    assert "certificate" in str(finding.fix)
    assert "update-ca-certificates" in str(finding.fix)


async def test_refusal_of_a_sample_is_a_failure_with_advice(
    database: Database, tmp_path: Path, refusing: Receiver
) -> None:
    """A final answer means that no row would be tried again."""
    finding = list((await found(config_of(tmp_path, database.daemon_dsn, refusing.url()), push=True)).values())[-1]
    assert finding.verdict is Verdict.FAILED
    assert finding.found.startswith("status 404 after ")
    assert "this answer is final" in str(finding.fix)


# the command ----------------------------------------------------------------------


def test_command_exits_1_when_something_failed(config: Config, database: Database, tmp_path: Path) -> None:
    """Each check is one line, however long; below stands what to do, to be copied."""
    database.execute("alter table ocr_wallet_info disable trigger pushd_ring")
    done = pushctl("doctor", "-c", tmp_path / "config.toml", environ={"COLUMNS": "40"})
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    (trigger,) = [line for line in lines if line.split()[:2] == ["failed", "trigger"]]
    assert trigger.endswith("the trigger on public.ocr_wallet_info is disabled, rows are found by sweeping only")
    assert "    alter table public.ocr_wallet_info enable trigger pushd_ring;" in lines
    assert len(config.webhook.endpoints) == 1
    assert done.stderr == ""


def test_command_without_a_database_looks_at_the_endpoints(tmp_path: Path) -> None:
    """All else is skipped, and no secret is shown."""
    dsn = "host=/nowhere user=u password=hush dbname=d"
    config_of(tmp_path, dsn, "https://u:hush@127.0.0.1:1/a?key=hush")
    done = pushctl("doctor", "--json", "--push", "-c", tmp_path / "config.toml")
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout)
    verdicts = {each["check"]: each["verdict"] for each in answer["checks"]}
    assert not answer["good"]
    assert verdicts["server"] == "failed"
    assert verdicts["trigger"] == "skipped"
    assert verdicts["endpoint 127.0.0.1:1/a"] == verdicts["push 127.0.0.1:1/a"] == "failed"
    assert "hush" not in done.stdout + done.stderr


async def test_command_exits_0_when_all_is_well(
    database: Database, tmp_path: Path, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """A daemon that runs, an endpoint that takes a sample; a warning would not matter."""
    await start_daemon([receiver.url()])
    config_of(tmp_path, database.daemon_dsn, receiver.url())
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pushd", "doctor", "--push", "--json", "-c", str(tmp_path / "config.toml")),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    assert json.loads(said)["good"]
