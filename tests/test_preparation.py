"""What stands between the daemon and its database is recognised before anything is done."""

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Database, StartDaemon, configuration, migrate
from psycopg.conninfo import conninfo_to_dict
from test_cli import pushctl

from pushd.demo.postgres import Cluster
from pushd.demo.process import DaemonProcess
from pushd.demo.receiver import Receiver

# poolers ----------------------------------------------------------------------


@contextlib.contextmanager
def pgbouncer(database: Database, mode: str) -> Iterator[str]:
    """The real PgBouncer before this database; its connection string for the daemon."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is not here (Debian's package is pgbouncer)")
    upstream = conninfo_to_dict(database.daemon_dsn)
    target = " ".join(f"{key}={upstream[key]}" for key in ("host", "port", "user", "password") if key in upstream)
    with tempfile.TemporaryDirectory(prefix="pushd-", dir="/tmp") as name:
        folder = Path(name)
        file = folder / "pgbouncer.ini"
        file.write_text(
            f"[databases]\n{database.name} = {target}\n"
            f"[pgbouncer]\nauth_type = any\npool_mode = {mode}\nlisten_port = 6432\nunix_socket_dir = {folder}\n"
        )
        folder.chmod(0o777)  # PgBouncer refuses to run as root
        user = "nobody" if os.geteuid() == 0 else None
        with subprocess.Popen([program, "-q", file], user=user, cwd="/", stderr=subprocess.PIPE) as process:
            until = time.monotonic() + 10
            while not (folder / ".s.PGSQL.6432").exists():
                assert time.monotonic() < until, process.stderr and process.stderr.read()
                time.sleep(0.02)  # it has no other way to say that it is ready
            try:
                yield f"host={folder} port=6432 dbname={database.name} user=pushd_daemon"
            finally:
                process.kill()


@pytest.mark.parametrize("command", [["run"], ["check", "--connect"]], ids=["run", "check"])
def test_pooler_that_shares_sessions_is_refused(database: Database, tmp_path: Path, command: list[str]) -> None:
    """It would swallow notifications, and hand our locks to others: one line, exit 78, and nothing left behind."""
    path = tmp_path / "config.toml"
    with pgbouncer(database, "transaction") as dsn:
        path.write_text(configuration(dsn, ["http://127.0.0.1:1/a"]), "utf-8")
        done = pushctl(*command, "-c", path)
        assert done.returncode == 78, done.stderr
        assert done.stderr.splitlines()[-1].startswith(
            "pushctl: notifications do not come through: a pooler (PgBouncer?) stands before PostgreSQL"
        )
        ours = "database = (select oid from pg_database where datname = current_database())"
        assert database.execute(f"select count(*) from pg_locks where locktype = 'advisory' and {ours}") == [(0,)]
    assert database.execute("select count(*) from pushd.daemon") == [(0,)]


async def test_pooler_that_keeps_sessions_apart_is_as_good_as_none(
    database: Database, start_daemon: StartDaemon, receiver: Receiver
) -> None:
    """With pool_mode = session the daemon lacks nothing."""
    with pgbouncer(database, "session") as dsn:
        daemon = await start_daemon([receiver.url()], dsn=dsn)
        row_id = database.insert()
        await receiver.until_accepted([row_id], within=2)
        assert await daemon.stop() == 0


# a standby ----------------------------------------------------------------------


@pytest.fixture
def standby() -> Iterator[Cluster]:
    """A server in hot standby, with sql/ applied while it was a primary."""
    with Cluster() as cluster:
        migrate(Database(cluster.dsn(), "postgres"))
        cluster.stop()
        signal_file = cluster.data / "standby.signal"
        signal_file.touch()
        if os.geteuid() == 0:
            shutil.chown(signal_file, "nobody")
        cluster.start()
        yield cluster


async def test_standby_is_named_and_waited_for(standby: Cluster, receiver: Receiver, tmp_path: Path) -> None:
    """It may be the primary in a moment: after a failover nobody should have to restart anything."""
    config = configuration(standby.dsn(user="pushd_daemon"), [receiver.url()])
    async with DaemonProcess(tmp_path, config) as daemon:
        await daemon.line("the server is a standby, where nothing can be written: promote it, or name the primary in")
        standby.psql("-c", "select pg_promote()")
        await daemon.ready()
        Database(standby.dsn(), "postgres").insert()
        await receiver.until(lambda: len(receiver.arrivals) == 1)
        assert await daemon.stop() == 0


def test_check_says_that_it_is_a_standby(standby: Cluster, tmp_path: Path) -> None:
    """With exit code 1: it may pass."""
    path = tmp_path / "config.toml"
    path.write_text(configuration(standby.dsn(user="pushd_daemon"), ["http://127.0.0.1:1/a"]), "utf-8")
    done = pushctl("check", "--connect", "-c", path)
    assert done.returncode == 1
    assert "pushctl: database: the server is a standby, where nothing can be written" in done.stderr


# the table's condition ------------------------------------------------------------


def test_check_warns_of_what_is_not_as_it_should_be(database: Database, tmp_path: Path) -> None:
    """And still succeeds: the daemon would run."""
    database.execute("drop index ocr_wallet_info_create_time_idx; drop trigger pushd_ring on ocr_wallet_info")
    path = tmp_path / "config.toml"
    path.write_text(configuration(database.daemon_dsn, ["http://127.0.0.1:1/a"]), "utf-8")
    done = pushctl("check", "--connect", "-c", path)
    assert done.returncode == 0
    warnings = [line for line in done.stdout.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 2
    assert "select pushd.watch('public.ocr_wallet_info');" in warnings[0]
    assert "sql/optional/create_time_index.sql" in warnings[1]
