"""Every way in which PostgreSQL refuses a connection has its remedy."""

from pathlib import Path

import pytest
from conftest import Database, configuration
from psycopg.conninfo import make_conninfo
from test_cli import pushctl

from pushd.refusal import remedy

FATAL = 'connection failed: connection to server on socket "/run/postgresql/.s.PGSQL.5432" failed: FATAL:  '


@pytest.mark.parametrize(
    ("said", "mends"),
    [
        (f'{FATAL}Peer authentication failed for user "pushd_daemon"', "pg_ident.conf"),
        (f'{FATAL}password authentication failed for user "pushd_daemon"', "mend the password"),
        ("connection failed: fe_sendauth: no password supplied", "put the password into"),
        (f'{FATAL}no pg_hba.conf entry for host "10.0.0.1", user "pushd_daemon"', "adds a line"),
        (f'{FATAL}role "pushd_daemon" does not exist', "apply sql/"),
        (f'{FATAL}database "app" does not exist', "mend dbname"),
        (f'{FATAL}role "pushd_daemon" is not permitted to log in', "alter role … login;"),
        (f"{FATAL}sorry, too many clients already", "max_connections"),
        ("connection is bad: connection refused", "see that the primary runs"),
        (f"{FATAL}le rôle « pushd_daemon » n'existe pas", "see that the primary runs"),
    ],
)
def test_refusal_has_its_remedy(said: str, mends: str) -> None:
    """By PostgreSQL's own words."""
    assert mends in remedy(said, "dbname=app")


def test_connection_string_that_is_not_there_comes_first() -> None:
    """The service may have it as a credential, which a command does not see."""
    assert "PUSHD_DATABASE_DSN_FILE" in remedy(f'{FATAL}role "root" does not exist', "")


@pytest.mark.parametrize("command", [["check", "--connect"], ["explain", "1"], ["history"]], ids=lambda each: each[0])
def test_commands_tell_it(command: list[str], database: Database, tmp_path: Path) -> None:
    """Below PostgreSQL's reason, on standard error."""
    path = tmp_path / "config.toml"
    path.write_text(configuration(make_conninfo(database.daemon_dsn, dbname="nowhere"), ["http://a.example"]), "utf-8")
    done = pushctl(*command, "-c", path)
    assert done.returncode == 1
    reason, advice = done.stderr.splitlines()
    assert 'database "nowhere" does not exist' in reason
    assert advice == "pushctl: mend dbname in database.dsn"
