"""What a check found."""

import enum
from dataclasses import dataclass


class Verdict(enum.Enum):
    """How it is: only what has FAILED has to be mended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: how it is, what was found (why it was skipped), and what mends it: SQL, or a command, or advice."""

    check: str
    verdict: Verdict
    found: str
    fix: str | None = None
