"""Every mistake in a configuration is named, with its line and what would be right, and all of them at once."""

import errno
import re
import socket
from pathlib import Path
from unittest.mock import Mock

import pytest

from pushd import configfile
from pushd.config import Config, parse_duration, shown
from pushd.errors import ConfigError

GOOD = '[webhook]\nurls = ["https://api.example.com/webhook"]\n'
REPOSITORY = Path(__file__).parent.parent


def load(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(text, "utf-8")
    return configfile.load(path, environ or {})


def mistakes(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, environ)
    assert caught.value.exit_code == 78
    return [mistake.removeprefix(str(tmp_path / "config.toml")) for mistake in caught.value.mistakes]


# what is right ------------------------------------------------------------------


def test_defaults_are_the_specifications(tmp_path: Path) -> None:
    """The seed's table, key for key."""
    webhook = load(tmp_path, GOOD).webhook
    assert webhook.model_dump() == {
        "enabled": True,
        "urls": ("https://api.example.com/webhook",),
        "timeout": 10.0,
        "max_retries": 3,
        "retry_interval": 1.0,
        "data_expiry": 300.0,
        "concurrent_pushers": 3,
        "batch_size": 1,
        "queue_size": 1000,
    }


def test_shipped_file_holds_every_key_with_its_default() -> None:
    """config.toml is the reference: nothing missing, nothing that differs from leaving it out."""
    text = (REPOSITORY / "config.toml").read_text("utf-8")
    config = configfile.load(REPOSITORY / "config.toml", {})
    for table, field in Config.model_fields.items():
        assert f"\n[{table}]\n" in text
        assert field.annotation is not None
        for key in field.annotation.model_fields:
            assert f"\n{key} = " in text or f"\n# {key} = " in text, f"{table}.{key}"
    minimal = 'dsn = "dbname=app user=pushd_daemon"'
    assert config == Config.model_validate(
        {
            "webhook": {"urls": ["https://api.example.com/webhook"]},
            "database": {"dsn": minimal[7:-1]},
            **{table: {} for table in ("source", "ledger", "server", "log", "daemon")},
        }
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("10s", 10),
        ("5m", 300),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1m30s", 90),
        ("1.5s", 1.5),
        ("7d", 604800),
    ],
)
def test_durations_as_the_specification_writes_them(text: str, seconds: float) -> None:
    """As Go writes them, and days."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "value",
    ["5 minutes", "-1s", 5, 5.0, "", "5", "s", "1h 30m", "0s", "0ms", "１0s", "1e3s", "inf", "10S", None, True, "400d"],
)
def test_anything_else_is_no_duration(value: object) -> None:
    """Numbers without a unit are ambiguous, nothing and negative are no durations."""
    with pytest.raises(ValueError, match=r"duration|must be more than nothing"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("urls", "names"),
    [
        (["https://api.example.com/webhook"], ["api.example.com/webhook"]),
        (["https://API.example.com/"], ["api.example.com"]),
        (["http://user:pw@10.0.0.1:8080/a?token=x#y"], ["10.0.0.1:8080/a"]),
        (["http://[::1]:9/x"], ["[::1]:9/x"]),
    ],
)
def test_endpoint_is_named_by_host_and_path(tmp_path: Path, urls: list[str], names: list[str]) -> None:
    """Never by what may be secret."""
    webhook = load(tmp_path, f"[webhook]\nurls = {urls}\n").webhook
    assert [endpoint.name for endpoint in webhook.endpoints] == names


def test_of_colliding_names_the_first_stays_as_it_is(tmp_path: Path) -> None:
    """To add a URL renames nobody, and a hash tells nothing."""
    urls = ["https://a.example/x?token=1", "https://b.example/x", "https://a.example/x?token=2"]
    webhook = load(tmp_path, f"[webhook]\nurls = {urls}\n").webhook
    first, second, third = (endpoint.name for endpoint in webhook.endpoints)
    assert (first, second) == ("a.example/x", "b.example/x")
    assert re.fullmatch("a.example/x#[0-9a-f]{8}", third)


def test_disabled_needs_no_url(tmp_path: Path) -> None:
    """There is nothing to push to."""
    assert load(tmp_path, "[webhook]\nenabled = false\n").webhook.urls == ()


def test_daemons_name_is_the_hosts(tmp_path: Path) -> None:
    """One daemon a host needs no name of its own."""
    assert load(tmp_path, GOOD).daemon.name == socket.gethostname()


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://a.example/x", "https://a.example/x"),
        ("https://u:p@a.example/x?t=1#f", "https://a.example/x"),
        ("u:p@a.example/x", "a.example/x"),
        ("https://a.example?t=u@b", "https://a.example"),
    ],
)
def test_shown_url_holds_no_secret(url: str, safe: str) -> None:
    """No user, no password, no query, whatever the rest looks like."""
    assert shown(url) == safe


# what is wrong ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('timeout = "5 minutes"', """:3: webhook.timeout: '5 minutes' is not a duration; write it like "500ms\""""),
        ('data_expiry = "-1s"', ":3: webhook.data_expiry: '-1s' is not a duration"),
        ("retry_interval = 5", ":3: webhook.retry_interval: 5 is not a duration"),
        ('timeout = "0s"', ":3: webhook.timeout: '0s' must be more than nothing"),
        ("concurrent_pushers = 0", ":3: webhook.concurrent_pushers: must be at least 1"),
        ("queue_size = -1", ":3: webhook.queue_size: must be at least 1"),
        ("max_retries = -1", ":3: webhook.max_retries: must be at least 0"),
        ("max_retries = 1.5", ":3: webhook.max_retries: must be a whole number"),
        ('max_retries = "3"', ":3: webhook.max_retries: must be a whole number"),
        ("batch_size = 0", ":3: webhook.batch_size: must be at least 1"),
        ("batch_size = 10", ":3: webhook.batch_size: must be 1"),
        ("enabled = 1", ":3: webhook.enabled: must be true or false"),
        ("max_retry = 3", ":3: webhook.max_retry: unknown key; is max_retries meant?"),
        ("colour = 3", ":3: webhook.colour: unknown key; known are enabled, urls"),
        ("[server]\nport = 65536", ":4: server.port: must be at most 65535"),
        ("[server]\nhost = 1", ":4: server.host: must be text in quotes"),
        ('[log]\nlevel = "loud"', ":4: log.level: must be 'debug', 'info', 'warn' or 'error'"),
        ('[database]\ndsn = "host=\'"', ":4: database.dsn: not a libpq connection string"),
        ("[webhok]\nx = 1", ":3: webhok: unknown key; is webhook meant?"),
    ],
)
def test_mistake_is_named_with_line_key_and_what_is_right(tmp_path: Path, line: str, says: str) -> None:
    """One line a mistake, and none for what is right."""
    (mistake,) = mistakes(tmp_path, f"{GOOD}{line}\n")
    assert mistake.startswith(says), mistake


@pytest.mark.parametrize(
    ("urls", "says"),
    [
        ("[]", ":2: webhook.urls: name at least one URL, or set enabled = false"),
        ('"https://a.example/"', ':2: webhook.urls: must be a list, like ["…"]'),
        ('["api.example.com/x?t=1"]', ':2: webhook.urls: "api.example.com/x" must be a whole URL'),
        ('["ftp://u:p@a.example/"]', ':2: webhook.urls: "ftp://a.example/" must be a whole URL'),
        ('["https://"]', ':2: webhook.urls: "https://" must be a whole URL'),
        ('["https://a.example:99999/"]', ':2: webhook.urls: "https://a.example:99999/" is not a URL'),
        ('["https://a.example/a b"]', ':2: webhook.urls: "https://a.example/a b" has a space'),
        (
            '["https://a.example/x", "HTTPS://A.EXAMPLE:443/x"]',
            ':2: webhook.urls: "https://a.example:443/x" stands here 2 times',
        ),
    ],
)
def test_bad_urls_are_named_without_their_secrets(tmp_path: Path, urls: str, says: str) -> None:
    """A URL may be wrong in many ways; what may be secret in it is not repeated."""
    (mistake,) = mistakes(tmp_path, f"[webhook]\nurls = {urls}\n")
    assert mistake.startswith(says), mistake


def test_all_mistakes_of_a_file_come_at_once(tmp_path: Path) -> None:
    """Nobody wants to run it five times."""
    text = '[webhook]\nurls = [\n  "https://a.example/",\n  "b",\n]\ntimeout = 3\nfoo = 1\n[server]\nport = "x"\n'
    found = mistakes(tmp_path, text)
    assert [mistake.split(": ")[0] for mistake in found] == [":4", ":6", ":7", ":9"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[webhook\n", ":1: not TOML: "),
        ("[webhook]\ntimeout = = 3\n", ":2: not TOML: "),
        (
            '[webhook]\nmax_retries = 1\nurls = [\n"x"]\nmax_retries = 2\n',
            ':5: not TOML: Key "max_retries" already exists',
        ),
        ("[webhook]\n[server]\n[webhook]\n", ':3: not TOML: Key "webhook" already exists'),
    ],
)
def test_broken_toml_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    """Before anything else can be told."""
    (mistake,) = mistakes(tmp_path, text)
    assert mistake.startswith(says), mistake


def test_missing_file_is_named(tmp_path: Path) -> None:
    """With what the system says of it."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read: no such file or directory"):
        configfile.load(tmp_path / "nowhere.toml", {})


def test_no_file_at_all_says_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to name one."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"name one with -c FILE or \$PUSHD_CONFIG \(looked for config.toml, /etc/"):
        configfile.load(None, {})


def test_file_that_cannot_be_looked_at_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As /etc/pushd/config.toml for who is not in its group: it is said of that file, and not that there is none."""
    place = tmp_path / "config.toml"
    place.symlink_to(place)  # root may look at everything, but not at this
    monkeypatch.setattr(configfile, "PLACES", (place,))
    assert configfile.find({}) == place
    with pytest.raises(ConfigError, match=r"config.toml: cannot be read: "):
        configfile.load(None, {})
    closed = PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr(Path, "stat", Mock(side_effect=closed))
    assert configfile.find({}) == place


def test_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """With the byte that is wrong."""
    (tmp_path / "config.toml").write_bytes(b"# \xff\n")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 2"):
        configfile.load(tmp_path / "config.toml", {})


# the environment and secrets ----------------------------------------------------


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    """Any key, in the file's own words."""
    environ = {
        "PUSHD_WEBHOOK_TIMEOUT": "3s",
        "PUSHD_WEBHOOK_MAX_RETRIES": "7",
        "PUSHD_WEBHOOK_ENABLED": "false",
        "PUSHD_WEBHOOK_URLS": '["http://b.example/"]',
        "PUSHD_SOURCE_TABLE": "app.ocr_wallet_info",
        "PUSHD_DATABASE_DSN": "dbname=x",
        "PUSHD_TEST_DSN": "not a key",
        "PUSHD_CONFIG": "not a key",
    }
    config = load(tmp_path, GOOD, environ)
    assert (config.webhook.timeout, config.webhook.max_retries, config.webhook.enabled) == (3.0, 7, False)
    assert config.webhook.urls == ("http://b.example/",)
    assert config.source.table == "app.ocr_wallet_info"
    assert config.database.dsn.get_secret_value() == "dbname=x"


def test_mistakes_in_the_environment_name_the_variable(tmp_path: Path) -> None:
    """There is no line to name."""
    found = mistakes(tmp_path, GOOD, {"PUSHD_WEBHOOK_TIMEOUT": "3", "PUSHD_WEBHOOK_TIMOUT": "3s"})
    assert found[0].startswith("$PUSHD_WEBHOOK_TIMOUT: unknown key; is timeout meant?")
    assert found[1].startswith("$PUSHD_WEBHOOK_TIMEOUT: webhook.timeout: '3' is not a duration")


def test_secret_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    """Named in the configuration, or in the environment, or handed over by systemd."""
    (tmp_path / "database_dsn").write_text("dbname=secret\n", "utf-8")
    named = f'{GOOD}[database]\ndsn_file = "{tmp_path}/database_dsn"\n'
    for text, environ in (
        (named, {}),
        (GOOD, {"PUSHD_DATABASE_DSN_FILE": f"{tmp_path}/database_dsn"}),
        (GOOD, {"CREDENTIALS_DIRECTORY": str(tmp_path)}),
        (GOOD + '[database]\ndsn = "dbname=other"\n', {"PUSHD_DATABASE_DSN_FILE": f"{tmp_path}/database_dsn"}),
    ):
        config = load(tmp_path, text, environ)
        assert config.database.dsn.get_secret_value() == "dbname=secret"
        assert "secret" not in repr(config)


def test_secret_file_that_is_not_there_or_not_alone_is_a_mistake(tmp_path: Path) -> None:
    """Which of two would be meant, nobody can tell."""
    assert mistakes(tmp_path, f'{GOOD}[database]\ndsn_file = "/nowhere"\n')[0].startswith(
        "database.dsn_file: /nowhere cannot be read"
    )
    (impossible,) = mistakes(tmp_path, f'{GOOD}[database]\ndsn_file = "a\\u0000b"\n')
    assert "cannot be read" in impossible
    both = f'{GOOD}[database]\ndsn = "dbname=a"\ndsn_file = "/nowhere"\n'
    assert mistakes(tmp_path, both) == ["database.dsn: stands beside database.dsn_file; keep one of them"]
    (tmp_path / "database_dsn").write_text("dbname=secret")
    credential = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert mistakes(tmp_path, f'{GOOD}[database]\ndsn = "dbname=a"\n', credential) == [
        "database.dsn: stands beside the credential database_dsn; keep one of them"
    ]
