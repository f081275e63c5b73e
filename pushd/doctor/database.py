"""The database, check after check, each in a session of its own: one that hangs or fails does no harm to the others."""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from pushd import ledger, migrations, table
from pushd.config import Config
from pushd.doctor import releases
from pushd.doctor.finding import Finding, Verdict
from pushd.errors import PushdError
from pushd.listener import require_sessions
from pushd.postgres import Connection, bounded, brief, connect, query
from pushd.refusal import remedy
from pushd.source import Source

_BOUND = 10.0  # seconds for one check
_CLOCKS_DIFFER = 1.0  # seconds
_QUEUE_FILLS, _QUEUE_FULL = 0.05, 0.5  # from the latter on the trigger does not notify any more
_PRIMARY = "promote it, or name the primary in database.dsn"
_FUNCTION = re.compile(r"create or replace function pushd\.(\w+)\(.*?\bas \$\$(.*?)\$\$;", re.DOTALL)


@dataclass(slots=True)
class _Patient:
    """What is looked at, and what a check leaves for those that come after it."""

    config: Config
    in_force: set[int] = field(default_factory=set)
    source: Source | None = None
    condition: table.Condition | None = None

    @property
    def watched(self) -> Source:
        assert self.source is not None, "asked for before the check of the table"  # noqa: S101 (_CHECKS has it first)
        return self.source

    @property
    def sick(self) -> table.Condition:
        assert self.condition is not None, "asked for before the check of the table"  # noqa: S101 (as above)
        return self.condition


@dataclass(frozen=True, slots=True)
class _Result:
    """What a check found; it is well unless said otherwise."""

    found: str
    fix: str | None = None
    verdict: Verdict = Verdict.OK


_Check = Callable[[_Patient, Connection], Awaitable[_Result]]


def _failed(found: str, fix: str | None = None) -> _Result:
    return _Result(found, fix, Verdict.FAILED)


def _warning(found: str, fix: str | None = None) -> _Result:
    return _Result(found, fix, Verdict.WARNING)


async def examine(config: Config) -> AsyncIterator[Finding]:
    """Make all the checks of NAMES, in that order."""
    patient, amiss = _Patient(config), set[str]()
    for name, (check, needs) in _CHECKS.items():
        if lacking := amiss.intersection(needs):
            finding = Finding(name, Verdict.SKIPPED, f"it makes no sense without: {', '.join(sorted(lacking))}")
        else:
            finding = await _make(name, check, patient)
        if finding.verdict in {Verdict.FAILED, Verdict.SKIPPED}:
            amiss.add(name)
        yield finding


async def _make(name: str, check: _Check, patient: _Patient) -> Finding:
    try:
        async with _session(patient) as connection, bounded(connection, _BOUND):
            result = await check(patient, connection)
    except PushdError as error:
        result = _failed(str(error))
    except (psycopg.Error, OSError, TimeoutError) as error:
        dsn = patient.config.database.dsn.get_secret_value()
        result = _failed(brief(error), remedy(str(error), dsn) if name == "server" else None)
    return Finding(name, result.verdict, result.found, result.fix)


def _session(patient: _Patient) -> Any:
    return connect(patient.config.database.dsn.get_secret_value(), "doctor")


# the server -----------------------------------------------------------------------


async def _server(_: _Patient, connection: Connection) -> _Result:
    ((version, _, standby, role, name, _, _),) = await query(connection, "server", {})
    where = f"PostgreSQL {version} on {connection.info.host or 'this host'}, database {name}, as {role}"
    if standby:
        return _failed(f"{where}: a standby, where nothing can be written", _PRIMARY)
    return _Result(f"{where}; it is the primary")


async def _sessions(patient: _Patient, connection: Connection) -> _Result:
    async with _session(patient) as other:
        await require_sessions(connection, other)
    return _Result("direct, or a pooler that gives each its own: LISTEN works")


async def _release(_: _Patient, connection: Connection) -> _Result:
    ((version, number, *_),) = await query(connection, "server", {})
    bugs = list(releases.known(number))
    if bugs:
        return _warning(f"PostgreSQL {version}: {'; '.join(bugs)}", "install the latest minor release of it")
    if number // 10_000 not in releases.READ:
        text = f"what LISTEN and NOTIFY suffer from in PostgreSQL {number // 10_000} is not known to this pushd"
        return _Result(text, verdict=Verdict.SKIPPED)
    return _Result(f"PostgreSQL {version}: nothing in LISTEN or NOTIFY is known that was mended later")


async def _queue(_: _Patient, connection: Connection) -> _Result:
    ((usage, blind, slow),) = await query(connection, "notify_queue", {})
    found = f"the notification queue is {usage:.1%} full"
    if usage < _QUEUE_FILLS:
        return _Result(found)
    who = [f"{each['role']} ({each['program'] or 'no name'}, pid {each['pid']}, {each['seconds']} s)" for each in slow]
    found += f"; open for longest: {', '.join(who)}" if who else "; who holds it back cannot be seen"
    if blind:
        found += f"; {blind} sessions of others cannot be looked at: grant pg_read_all_stats to this role to see them"
    fix = "\n".join(f"select pg_terminate_backend({each['pid']});" for each in slow) or None
    return _failed(found, fix) if usage >= _QUEUE_FULL else _warning(found, fix)


async def _clock(_: _Patient, connection: Connection) -> _Result:
    asked = time.time()
    ((*_, clock),) = await query(connection, "server", {})
    ahead = (asked + time.time()) / 2 - clock
    found = f"this host's clock is {abs(ahead):.3f} s {'ahead of' if ahead > 0 else 'behind'} the database's"
    if abs(ahead) > _CLOCKS_DIFFER:
        return _warning(f"{found}, which is the one that counts", "synchronise it: timedatectl set-ntp true")
    return _Result(found)


async def _commit(_: _Patient, connection: Connection) -> _Result:
    ((_, _, _, role, _, setting, _),) = await query(connection, "server", {})
    if setting == "off":
        return _Result("off: no claim and no outcome waits for the disk, and none is lost that could not be repeated")
    fix = f"alter role {role} set synchronous_commit = off;"
    return _warning(f"{setting}: each batch of claims and outcomes waits for the disk", fix)


# what sql/ has put there ------------------------------------------------------------


async def _migrations(patient: _Patient, connection: Connection) -> _Result:
    patient.in_force = await migrations.applied(connection)
    missing = [str(migration) for migration, _ in migrations.steps(patient.in_force, None, down=False)]
    if missing:
        files = "\n".join(f"psql -X -1 -v ON_ERROR_STOP=1 -f sql/{name}.up.sql" for name in missing)
        return _failed(f"not in force: {', '.join(missing)}", files)
    return _Result(f"all of sql/ is in force, up to {max(patient.in_force):04}")


async def _functions(patient: _Patient, connection: Connection) -> _Result:
    ((functions, *_),) = await query(connection, "definitions", {"oid": patient.watched.oid, "channel": ""})
    expected = {
        name: (migration, body)
        for migration in migrations.available()
        if migration.version in patient.in_force
        for name, body in _FUNCTION.findall(migration.up)
    }
    odd = [name for name, (_, body) in expected.items() if functions.get(name) != body]
    if odd:
        files = dict.fromkeys(f"psql -X -1 -v ON_ERROR_STOP=1 -f sql/{expected[name][0]}.up.sql" for name in odd)
        return _failed(f"not as sql/ makes them: {', '.join(f'pushd.{name}()' for name in odd)}", "\n".join(files))
    return _Result(f"{len(expected)} functions, as sql/ makes them")


async def _rights(_: _Patient, connection: Connection) -> _Result:
    await ledger.require_grants(connection)
    return _Result("all that the daemon does on pushd's tables it may do")


async def _spare_rights(patient: _Patient, connection: Connection) -> _Result:
    spare = await query(connection, "spare_rights", {"oid": patient.watched.oid})
    if spare:
        found = "; ".join(what for what, _ in spare)
        return _warning(f"this role can do more than the daemon needs: {found}", "\n".join(fix for _, fix in spare))
    return _Result("this role can do nothing else")


async def _daemon(patient: _Patient, connection: Connection) -> _Result:
    name = patient.config.daemon.name
    daemons = {each: (alive, silent) for each, alive, silent in await query(connection, "alive", {})}
    others = [each for each, (alive, _) in daemons.items() if alive and each != name]
    beside = f"; alive beside it: {', '.join(others)}" if others else "; no other is alive"
    if name not in daemons:
        return _warning(f"none of the name {name} has ever run here{beside}", "systemctl start pushd")
    alive, silent = daemons[name]
    if not alive:
        return _warning(f"{name} was last alive {silent:.0f} s ago{beside}", "systemctl start pushd")
    return _Result(f"{name} is alive, its last heartbeat was {max(silent, 0):.0f} s ago{beside}")


# the watched table ------------------------------------------------------------------


async def _table(patient: _Patient, connection: Connection) -> _Result:
    source = patient.source = await table.inspect(connection, patient.config.source)
    patient.condition = await table.condition(connection, source, patient.config.source.table)
    if fault := patient.condition.rows:
        return _failed(fault.what, fault.fix)
    return _Result(f"{patient.config.source.table} can be read, and all its rows be seen")


async def _trigger(patient: _Patient, connection: Connection) -> _Result:
    if fault := patient.sick.trigger:
        return _failed(fault.what, fault.fix)
    parameters = {"oid": patient.watched.oid, "channel": patient.watched.channel}
    ((_, trigger, expected),) = await query(connection, "definitions", parameters)
    if trigger != expected:
        name = patient.config.source.table
        fix = f"drop trigger pushd_ring on {name};\nselect pushd.watch('{name}');"
        return _failed(f"it is not what pushd.watch makes: {trigger}", fix)
    return _Result(f"it is there, enabled, and as pushd.watch makes it; heard on {patient.watched.channel}")


async def _indexes(patient: _Patient, _: Connection) -> _Result:
    if fault := patient.sick.indexes:
        return _warning(fault.what, fault.fix)
    return _Result("claims find rows by id, and sweeps by create_time, without reading the table")


# Each check, and those that it makes no sense without.
_CHECKS: dict[str, tuple[_Check, tuple[str, ...]]] = {
    "server": (_server, ()),
    "sessions": (_sessions, ("server",)),
    "release": (_release, ("server",)),
    "notification queue": (_queue, ("server",)),
    "clock": (_clock, ("server",)),
    "synchronous_commit": (_commit, ("server",)),
    "migrations": (_migrations, ("server",)),
    "table": (_table, ("server",)),
    "trigger": (_trigger, ("migrations", "table")),
    "functions": (_functions, ("migrations", "table")),
    "indexes": (_indexes, ("table",)),
    "rights": (_rights, ("migrations",)),
    "spare rights": (_spare_rights, ("migrations", "table")),
    "daemon": (_daemon, ("migrations",)),
}

NAMES = tuple(_CHECKS)
