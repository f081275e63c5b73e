"""The ledger as people ask for it."""

import csv
import io
import json
from pathlib import Path

import pytest
from conftest import Database, configuration
from test_cli import pushctl

WIDE = {"COLUMNS": "200"}


@pytest.fixture
def config(database: Database, tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(configuration(database.daemon_dsn, ["http://a.example/hook"]), "utf-8")
    return path


@pytest.fixture
def ledger(database: Database) -> Database:
    """Rows 1 to 6, an hour between two of them, the last an hour old; each delivered to a, and failed at b."""
    database.execute("insert into pushd.endpoint (name, since) values ('a', '-infinity'), ('b', '-infinity')")
    database.execute("insert into pushd.daemon (name, data_expiry) values ('one', '5m')")
    database.execute(
        "insert into pushd.delivery (row_time, row_id, endpoint_id, daemon_id, state, settled_at, attempts, status, error) "
        "select now() - (7 - n) * interval '1 hour', n, e.id, d.id, e.id, now(), e.id, "
        "case when e.id = 1 then 200 end, case when e.id = 2 then E'reset,\nby \x1b[2J \"peer\"' end "
        "from generate_series(1, 6) as n, pushd.endpoint as e, pushd.daemon as d"
    )
    return database


def asked(config: Path, *options: str) -> list[dict[str, object]]:
    done = pushctl("history", "-c", config, "--json", *options)
    assert done.returncode == 0, done.stderr
    found: list[dict[str, object]] = json.loads(done.stdout)
    return found


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("options", "rows"),
    [
        (["--endpoint", "a"], [6, 5, 4, 3, 2, 1]),
        (["--endpoint", "b", "--limit", "2"], [6, 5]),
        (["--row", "3"], [3, 3]),
        (["--outcome", "failed", "--since", "2h30m"], [6, 5]),
        (["--outcome", "failed", "--outcome", "delivered", "--since", "90m"], [6, 6]),
        (["--outcome", "claimed"], []),
        (["--endpoint", "a", "--until", "5h30m"], [1]),
        (["--since", "2001-01-31", "--until", "2001-01-31T08:00+08:00"], []),
        (["--row", "2", "--endpoint", "b", "--outcome", "failed", "--since", "2001-01-31T08:00Z", "--all"], [2]),
    ],
)
def test_deliveries_are_found(config: Path, options: list[str], rows: list[int]) -> None:
    """By row, endpoint, outcome and time, together, those of the newest rows first."""
    assert [each["row_id"] for each in asked(config, *options)] == rows


@pytest.mark.usefixtures("ledger")
def test_deliveries_are_counted(config: Path) -> None:
    """By endpoint and outcome."""
    found = [(each["endpoint"], each["state"], each["deliveries"]) for each in asked(config, "--count")]
    assert found == [("a", "delivered", 6), ("b", "failed", 6)]


@pytest.mark.usefixtures("ledger")
def test_csv_is_read_back(config: Path) -> None:
    """A line each, whatever an error holds; times with their zone."""
    done = pushctl("history", "-c", config, "--csv", "--all", "--endpoint", "b")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert len(rows) == 6 == len(done.stdout.splitlines()) - 1
    assert rows[0]["row_id"] == "6"
    assert rows[0]["error"] == r"reset,\nby \x1b[2J " + '"peer"'
    assert rows[0]["row_time"].endswith("+00:00")


@pytest.mark.usefixtures("ledger")
def test_counts_as_csv(config: Path) -> None:
    """The same in all forms."""
    done = pushctl("history", "-c", config, "--csv", "--count")
    assert [line.rsplit(",", 2)[0] for line in done.stdout.splitlines()] == [
        "endpoint,state,deliveries",
        "a,delivered,6",
        "b,failed,6",
    ]


@pytest.mark.usefixtures("ledger")
def test_table_says_when_there_may_be_more(config: Path) -> None:
    """On standard error; a line a delivery on standard output."""
    done = pushctl("history", "-c", config, "--limit", "4", environ=WIDE)
    assert done.stderr == "the newest 4: there may be more, with --limit or --all\n"
    assert len(done.stdout.splitlines()) == 5
    assert "\x1b" not in done.stdout


@pytest.mark.usefixtures("ledger")
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--row", "99"], "nothing is recorded of that\n"),
        (["--endpoint", "a.exmaple"], "a.exmaple is none of the configuration, which has a.example/hook\n"),
    ],
)
def test_nothing_found_is_said(config: Path, options: list[str], says: str) -> None:
    """An empty table might be a mistyped name."""
    done = pushctl("history", "-c", config, *options)
    assert done.returncode == 0
    assert done.stderr.endswith(says)


def test_row_is_found_by_its_time_and_without_it(config: Path, ledger: Database) -> None:
    """By the time of the row in the watched table; when that was changed since, in all of the ledger."""
    row_id = ledger.insert()
    ledger.execute(
        "insert into pushd.delivery (row_time, row_id, endpoint_id, daemon_id) "
        "select create_time, id, 1, 1 from ocr_wallet_info where id = %s",
        row_id,
    )
    wanted = ["--row", str(row_id), "--outcome", "claimed"]
    assert len(asked(config, *wanted)) == 1
    ledger.execute("update ocr_wallet_info set create_time = create_time + interval '1 minute'")
    assert len(asked(config, *wanted)) == 1


@pytest.mark.usefixtures("ledger")
def test_reader_may_ask(config: Path, database: Database) -> None:
    """Who is a member of pushd_reader needs no right on the watched table."""
    reader = database.as_user("pushd_reader")
    database.execute("alter role pushd_reader login")
    try:
        done = pushctl("history", "-c", config, "--row", "3", "--csv", environ={"PUSHD_DATABASE_DSN": reader})
    finally:
        database.execute("alter role pushd_reader nologin")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ("--since yesterday", "neither a duration"),
        ("--since 0s", "must be more than nothing"),
        ("--since 400d", "a year at the most"),
        ("--until 2026-13-01", "neither a duration"),
        ("--row x", "is not the id of a row"),
        ("--csv --json", "not both"),
    ],
)
def test_question_that_makes_no_sense_is_a_usage_error(config: Path, options: str, says: str) -> None:
    """Exit 2, it says why, and nothing is asked."""
    done = pushctl("history", "-c", config, *options.split())
    assert done.returncode == 2
    assert says in done.stderr


def test_ledger_that_is_not_there_names_the_doctor(config: Path, database: Database) -> None:
    """One line, exit 78."""
    database.execute("drop schema pushd cascade")
    done = pushctl("history", "-c", config)
    assert (done.returncode, len(done.stderr.splitlines())) == (78, 1)
    assert "pushctl doctor" in done.stderr
