"""Which releases of PostgreSQL have a bug in LISTEN and NOTIFY that a later minor release has mended; pure.

Only what was read in the release notes themselves stands here, at
https://www.postgresql.org/docs/release/ of the versions named. Those of
PostgreSQL 14 were not read.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bug:
    """What can happen, and the minor release that mended it, by major version."""

    what: str
    mended: dict[int, int]


READ = range(15, 19)  # major versions whose release notes were read, up to those of 2026-08

BUGS = (
    # "Prevent truncation of CLOG that is still needed by unread NOTIFY messages", and "Escalate errors occurring
    # during NOTIFY message processing to FATAL": release notes of 15.16, 16.12, 17.8 and 18.2 (2026-02-12).
    Bug(
        "a listener that is slow to read can fail with «could not access status of transaction», "
        "and the notification is lost without a word",
        {15: 16, 16: 12, 17: 8, 18: 2},
    ),
    # "Avoid memory leakage after servicing a notify or sinval interrupt": 15.8 and 16.4 (2024-08-08).
    Bug("a session that is notified leaks memory for as long as it lasts", {15: 8, 16: 4}),
)


def known(version: int) -> Iterator[str]:
    """The bugs of a server, by its server_version_num, each with the release that it takes."""
    major, minor = divmod(version, 10_000)
    for bug in BUGS:
        if major in bug.mended and minor < bug.mended[major]:
            yield f"{bug.what} (mended in {major}.{bug.mended[major]})"
