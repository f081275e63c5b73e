"""Everything that pushd raises on purpose.

PushdError              the thing asked for failed; exit 1
├── ConfigError         the configuration has to be mended first; exit 78
├── NameTakenError      another daemon has the name; exit 78
├── PoolerError         a connection pool stands before the database and swallows notifications; exit 78
└── SchemaError         the database has to be prepared first; exit 78
"""

from collections.abc import Sequence


class PushdError(Exception):
    """What went wrong and what the person can do about it, as one line."""

    exit_code = 1


class ConfigError(PushdError):
    """All that is wrong with a configuration, one line a mistake."""

    exit_code = 78  # EX_CONFIG of sysexits.h; systemd does not restart on it

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


class SchemaError(PushdError):
    """The database lacks something that a DBA has to put there."""

    exit_code = 78


class NameTakenError(PushdError):
    """Another daemon of this name is alive: give each its own daemon.name."""

    exit_code = 78

    def __init__(self, name: str) -> None:
        super().__init__(f"another daemon named {name} is alive: give each its own with daemon.name")


class PoolerError(PushdError):
    """The connection string leads through a pool that shares sessions, where LISTEN and session locks do not work."""

    exit_code = 78
