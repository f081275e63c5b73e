"""The configuration: every key there is, its default, its unit, its rule.

How a file becomes a `Config` is told in `configfile`. Durations are seconds
here, written in a file as in Go: "500ms", "10s", "5m", "1h30m".
"""

import hashlib
import re
import socket
from collections import Counter
from dataclasses import dataclass
from typing import Annotated, Literal
from urllib.parse import urlsplit

import psycopg
import yarl
from psycopg.conninfo import conninfo_to_dict
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_LONGEST = 366 * _UNITS["d"]


def parse_duration(value: object) -> float:
    """Read "1h30m" as seconds; ValueError for anything that is not a positive duration of a year at the most."""
    text = value if isinstance(value, str) else ""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'{value!r} is not a duration; write it like "500ms", "10s", "5m" or "1h30m"')
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < seconds <= _LONGEST:
        raise ValueError(f"{value!r} must be more than nothing and a year at the most")
    return seconds


def shown(url: str) -> str:
    """Take out of a URL what may be secret (user, password, query), so that it may be shown."""
    return re.sub(r"^([A-Za-z][A-Za-z0-9+.-]*://)?[^/]*@", r"\1", re.split(r"[?#]", url, maxsplit=1)[0])


def wire_url(url: str) -> yarl.URL:
    """The URL as it goes out: what is ASCII as it is written, for %2F is not the same as / to everybody."""
    return yarl.URL(url, encoded=url.isascii())


def _check_url(url: str) -> str:
    name = shown(url)
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError(f'"{name}" has a space or a control character in it')
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        wire_url(url)
    except ValueError as error:
        raise ValueError(f'"{name}" is not a URL: its host or port is malformed') from error
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError(f'"{name}" must be a whole URL that begins with http:// or https://')
    return url


def _canonical(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    user, _, _ = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{user}@{parts.hostname}:{port}{parts.path or '/'}?{parts.query}"


Duration = Annotated[float, BeforeValidator(parse_duration)]
Url = Annotated[str, AfterValidator(_check_url)]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One receiver and its policy; its `name` is its identity in the ledger and may be shown."""

    name: str
    url: str
    timeout: float
    max_retries: int
    retry_interval: float
    data_expiry: float
    concurrent_pushers: int
    queue_size: int

    def __str__(self) -> str:
        return self.name


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Webhook(_Table):
    """What is pushed where, and how hard it is tried."""

    enabled: bool = True
    urls: Annotated[tuple[Url, ...], Field(strict=False, validate_default=True)] = ()
    timeout: Duration = 10.0
    max_retries: Annotated[int, Field(ge=0, le=100)] = 3
    retry_interval: Duration = 1.0
    data_expiry: Duration = 300.0
    concurrent_pushers: Annotated[int, Field(ge=1, le=1000)] = 3
    batch_size: Annotated[int, Field(ge=1)] = 1
    queue_size: Annotated[int, Field(ge=1, le=1_000_000)] = 1000

    @field_validator("urls", mode="after")
    @classmethod
    def _some_and_each_once(cls, urls: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if not urls and info.data.get("enabled", True):
            raise ValueError("name at least one URL, or set enabled = false")
        for canonical, times in Counter(map(_canonical, urls)).items():
            if times > 1:
                raise ValueError(f'"{shown(canonical)}" stands here {times} times; each URL may stand once')
        return urls

    @field_validator("batch_size", mode="after")
    @classmethod
    def _one_row_a_request(cls, batch_size: int) -> int:
        if batch_size != 1:
            raise ValueError("must be 1: several rows in one request are not supported yet")
        return batch_size

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """The receivers; a plain URL is named by host and path.

        Of several that would be named alike the first keeps that name, so that a URL added behind it does not make
        a new endpoint of it, and the others get a hash of the URL.
        """
        names = [_plain_name(url) for url in self.urls]
        return tuple(
            Endpoint(
                name=name if names.index(name) == number else f"{name}#{hashlib.sha256(url.encode()).hexdigest()[:8]}",
                url=url,
                timeout=self.timeout,
                max_retries=self.max_retries,
                retry_interval=self.retry_interval,
                data_expiry=self.data_expiry,
                concurrent_pushers=self.concurrent_pushers,
                queue_size=self.queue_size,
            )
            for number, (name, url) in enumerate(zip(names, self.urls, strict=True))
        )


def _plain_name(url: str) -> str:
    parts = urlsplit(url)
    _, _, host = parts.netloc.rpartition("@")
    return f"{host.lower()}{parts.path.rstrip('/')}"


class Database(_Table):
    """Where the table is; a libpq connection string, whose gaps the PG* variables fill."""

    dsn: SecretStr = SecretStr("")

    @field_validator("dsn", mode="after")
    @classmethod
    def _can_be_parsed(cls, dsn: SecretStr) -> SecretStr:
        try:
            conninfo_to_dict(dsn.get_secret_value())
        except psycopg.ProgrammingError:
            # libpq would quote from it.
            raise ValueError('not a libpq connection string, like "host=db dbname=app user=pushd_daemon"') from None
        return dsn


class Source(_Table):
    """The watched table; `timezone` tells what a create_time without time zone means."""

    table: Annotated[str, Field(min_length=1)] = "public.ocr_wallet_info"
    timezone: str | None = None


class Ledger(_Table):
    """The history of deliveries; whatever is asked for, it outlasts data_expiry by an hour."""

    history_retention: Duration = 7 * 86400.0


class Server(_Table):
    """The HTTP server; port 0 takes a free one, and `names` are those it goes by besides its host's and its address."""

    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    names: Annotated[tuple[str, ...], Field(strict=False)] = ()


class Log(_Table):
    """What is logged, and how."""

    level: Literal["debug", "info", "warn", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Daemon(_Table):
    """This process among others: each has its own name, and a restart under the same one takes its claims back."""

    name: Annotated[str, Field(min_length=1, max_length=100)] = Field(default_factory=socket.gethostname)
    shutdown_timeout: Duration = 10.0


class Config(_Table):
    """A whole configuration, checked; see config.toml for what each key is for."""

    webhook: Webhook
    database: Database
    source: Source
    ledger: Ledger
    server: Server
    log: Log
    daemon: Daemon
