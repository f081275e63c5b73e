"""Commands as a shell sees them: what they print, and how they exit."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Database, configuration, connect

SQL = Path(__file__).parent.parent / "sql"


def pushctl(*arguments: str | Path, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pushd", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **(environ or {})},
    )


def completed(words: str, position: int, **environ: str) -> list[str]:
    """What bash would be offered."""
    environ |= {"_PUSHCTL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(position)}
    done = pushctl(environ=environ)
    return [line.partition(",")[2] for line in done.stdout.splitlines()]


@pytest.fixture
def config(database: Database, tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(configuration(database.daemon_dsn, ["http://127.0.0.1:1/a"]), "utf-8")
    return path


def test_script_and_module_are_the_same() -> None:
    """pushctl, or python -m pushd."""
    script = Path(sys.executable).with_name("pushctl")
    shown = subprocess.run([script, "--version"], capture_output=True, text=True, check=True).stdout
    assert pushctl("--version").stdout == shown
    assert shown.startswith("pushctl, version 0.")


def test_unknown_command_is_a_usage_error() -> None:
    """Exit code 2, as every shell tool."""
    assert pushctl("frobnicate").returncode == 2


@pytest.mark.parametrize("command", ["run", "check"])
def test_bad_configuration_exits_78_with_a_line_a_mistake(command: str, tmp_path: Path) -> None:
    """Nothing is started; standard output stays clean."""
    path = tmp_path / "config.toml"
    path.write_text('[webhook]\ntimeout = 5\nurls = ["ftp://a.example"]\n', "utf-8")
    done = pushctl(command, "-c", path)
    assert done.returncode == 78
    assert done.stdout == ""
    assert [line.split(": ")[:2] for line in done.stderr.splitlines()] == [
        ["pushctl", f"{path}:3"],
        ["pushctl", f"{path}:2"],
    ]


def test_missing_configuration_exits_78(tmp_path: Path) -> None:
    """And says which file."""
    done = pushctl("run", "-c", tmp_path / "no.toml")
    assert (done.returncode, done.stderr) == (
        78,
        f"pushctl: {tmp_path}/no.toml: cannot be read: no such file or directory\n",
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_folder_that_is_closed_to_us_is_no_traceback(tmp_path: Path) -> None:
    """Root's, in which a command is run as the service's user; and the service's, for anybody else."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    script = (
        "import os, pathlib, sys\n"
        "from pushd import configfile\n"
        "from pushd.errors import ConfigError\n"
        "os.chdir(sys.argv[1]); os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "configfile.PLACES = (pathlib.Path('config.toml'), *map(pathlib.Path, sys.argv[2:]))\n"
        "try:\n    configfile.load(None, {})\nexcept ConfigError as error:\n    print(error)\n"
    )
    says = {
        (): "no configuration found",
        (str(closed / "service.toml"),): f"{closed}/service.toml: cannot be read: permission denied: do it as one who",
    }
    for places, expected in says.items():
        done = subprocess.run(
            [sys.executable, "-c", script, closed, *places], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.stdout.startswith(expected), done.stderr


def test_check_names_the_endpoints(config: Path) -> None:
    """Without touching the database."""
    done = pushctl("check", "-c", config, environ={"PUSHD_DATABASE_DSN": "host=/nowhere"})
    assert done.returncode == 0
    assert "127.0.0.1:1/a" in done.stdout


def test_check_connect_changes_nothing(config: Path, database: Database) -> None:
    """It looks, and says what a start would find."""
    done = pushctl("check", "--connect", "-c", config)
    assert done.returncode == 0, done.stderr
    assert "public.ocr_wallet_info is heard on channel pushd_ocr_wallet_info" in done.stdout
    assert database.execute("select count(*) from pushd.endpoint") == [(0,)]


def test_check_connect_without_a_server_exits_1(config: Path) -> None:
    """A line with PostgreSQL's own reason, and one with what to do."""
    done = pushctl("check", "--connect", "-c", config, environ={"PUSHD_DATABASE_DSN": "host=/nowhere"})
    assert done.returncode == 1
    reason, advice = done.stderr.splitlines()
    assert reason.startswith("pushctl: database: ")
    assert advice.startswith("pushctl: see that the primary runs")


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (
            "drop schema pushd cascade",
            "the database lacks 0001_schema, 0002_ledger, 0003_doorbell, 0004_source: apply sql/",
        ),
        ("delete from pushd.migration where version > 2", "the database lacks 0003_doorbell, 0004_source: apply sql/"),
        ("drop table ocr_wallet_info", "source.table public.ocr_wallet_info: no such table in this database"),
        ("revoke all on pushd.migration from pushd_daemon", "permission denied for table migration"),
        ("revoke usage on schema pushd from pushd_daemon", "permission denied for schema pushd"),
        (
            "revoke insert on pushd.delivery from pushd_daemon",
            "may not insert on pushd.delivery: apply sql/*.up.sql again",
        ),
    ],
)
@pytest.mark.parametrize("command", [["run"], ["check", "--connect"]], ids=["run", "check"])
def test_wrong_schema_is_one_clear_line_and_78(
    command: list[str], prepare: str, says: str, config: Path, database: Database
) -> None:
    """The daemon does not run on what it cannot use, and says who has to do what."""
    database.execute(prepare)
    done = pushctl(*command, "-c", config, environ={"PUSHD_LOG_LEVEL": "error"})
    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"pushctl: {says}"), line


def test_port_in_use_is_one_clear_line_and_1(config: Path) -> None:
    """Before anything is claimed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environ = {"PUSHD_SERVER_PORT": str(taken.getsockname()[1]), "PUSHD_LOG_LEVEL": "error"}
        done = pushctl("run", "-c", config, environ=environ)
    assert done.returncode == 1
    assert done.stderr == "pushctl: server.host, server.port: cannot listen there: address already in use\n"


# migrate ------------------------------------------------------------------------


def test_migrate_applies_and_takes_back(empty_database: Database) -> None:
    """All, in order; again, nothing; down to a version; down to nothing."""
    dsn = ("--dsn", empty_database.dsn)
    up = pushctl("migrate", *dsn)
    assert up.stdout.splitlines() == [
        "0001_schema: applied",
        "0002_ledger: applied",
        "0003_doorbell: applied",
        "0004_source: applied",
    ]
    assert pushctl("migrate", *dsn).stdout == "nothing to do\n"
    assert pushctl("migrate", *dsn, "--down", "--to", "2").stdout.splitlines() == [
        "0004_source: taken back",
        "0003_doorbell: taken back",
    ]
    assert empty_database.execute("select version from pushd.migration order by 1") == [(1,), (2,)]
    assert pushctl("migrate", *dsn, "--to", "3").stdout == "0003_doorbell: applied\n"
    assert pushctl("migrate", *dsn, "--down").returncode == 0
    assert empty_database.execute("select to_regnamespace('pushd')") == [(None,)]


def test_migrate_prints_the_very_files(empty_database: Database) -> None:
    """For a DBA who wants to read them first; nothing is run."""
    printed = pushctl("migrate", "--dsn", empty_database.dsn, "--print").stdout
    assert printed == "".join(file.read_text("utf-8") + "\n" for file in sorted(SQL.glob("*.up.sql")))
    assert empty_database.execute("select to_regnamespace('pushd')") == [(None,)]


def test_failed_migration_leaves_nothing_of_it(empty_database: Database) -> None:
    """And says which one failed, and why."""
    empty_database.execute("create table ocr_wallet_info (id bigint)")
    done = pushctl("migrate", "--dsn", empty_database.dsn)
    assert done.returncode == 1
    assert done.stderr.startswith("pushctl: 0004_source: pushd: public.ocr_wallet_info has no column source_ip")
    assert empty_database.execute("select max(version) from pushd.migration") == [(3,)]


def test_migration_by_who_may_not_says_who_may(config: Path, database: Database) -> None:
    """The daemon's own role, which the configuration has, is not the one."""
    done = pushctl("migrate", "-c", config, "--down")
    assert done.returncode == 1
    assert "permission denied" in done.stderr
    assert done.stderr.endswith("do it as the owner of the schema and the table, with --dsn\n")
    assert database.execute("select max(version) from pushd.migration") == [(4,)]


def test_two_that_start_at_once_do_not_collide(empty_database: Database) -> None:
    """One waits for the other."""
    commands = [
        subprocess.Popen(
            [sys.executable, "-m", "pushd", "migrate", "--dsn", empty_database.dsn], stderr=subprocess.PIPE
        )
        for _ in range(3)
    ]
    for command in commands:
        _, said = command.communicate(timeout=60)
        assert command.returncode == 0, said
    assert empty_database.execute("select version from pushd.migration order by 1") == [(1,), (2,), (3,), (4,)]


def test_lock_that_is_not_granted_is_given_up_quickly(database: Database) -> None:
    """Writers queue up behind us for half a second at the most."""
    with connect(database.dsn) as writer:
        writer.execute("begin")
        writer.execute("insert into ocr_wallet_info (wallet_code) values ('A')")
        done = pushctl("migrate", "--dsn", database.dsn, "--down")
        assert done.returncode == 1
        assert "lock timeout" in done.stderr
        assert done.stderr.endswith("nothing of it was applied: writers were busy, try again\n")
        writer.execute("commit")
    assert database.execute("select max(version) from pushd.migration") == [(4,)]
