"""Log lines: for people, for journald, for machines.

    log.info("OCR钱包数据推送成功 %s", pairs(id=123, wallet_code="ABC123"))

Levels are a promise. ERROR: pushd cannot do its work, act now. WARN: something
was not delivered, or is being tried again for ever. INFO: what was done, one
line a delivery. DEBUG: what was skipped, and each attempt.
"""

import asyncio
import contextlib
import functools
import json
import logging
import os
import re
import sys
import time
from typing import Any, Literal, TextIO

import orjson

_GATHER = 0.01  # seconds
_LONGEST_VALUE = 500  # characters; a log is no place for a megabyte of wallet code
_LEVEL_NAMES = {logging.WARNING: "WARN", logging.CRITICAL: "ERROR"}
_UNQUOTED = re.compile(r'[^ "=]+')
_PLAIN = re.compile(rf"[!#-<>-~]{{1,{_LONGEST_VALUE}}}")  # most values: the same in ASCII, printable and short
# Numbers of syslog(3), which journald reads as a prefix: see sd-daemon(3).
_PRIORITIES = {"DEBUG": 7, "INFO": 6, "WARN": 4, "ERROR": 3}


class pairs:  # noqa: N801 (reads as a function in a call, and is one but for being lazy)
    """Fields of a log line, printed as `key=value` only if the line is; None is left out."""

    def __init__(self, **fields: object) -> None:
        self.fields = {key: value for key, value in fields.items() if value is not None}

    def __str__(self) -> str:
        return " ".join(
            [
                f"{key}={value if isinstance(value, int | float) else _quoted(str(value))}"
                for key, value in self.fields.items()
            ]
        )


def _short(text: str) -> str:
    """Text of bearable length."""
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def _quoted(value: str) -> str:
    """Quote what could be taken for something else: a row must not be able to forge a field or a line."""
    if _PLAIN.fullmatch(value):
        return value
    value = _short(value)
    return value if _UNQUOTED.fullmatch(value) and value.isprintable() else json.dumps(value)


class TextFormatter(logging.Formatter):
    """The specification's lines; under journald a priority takes the place of the time, which journald has itself."""

    def __init__(self, *, journald: bool) -> None:
        super().__init__()
        self._journald = journald

    def format(self, record: logging.LogRecord) -> str:
        level = _level(record)
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        if self._journald:
            prefix = f"<{_PRIORITIES[level]}>"
            # Each line of a traceback is a line of its own to journald.
            return "\n".join(prefix + line for line in text.splitlines())
        return f"{_local_time(int(record.created))} {level:<5} {text}"


@functools.lru_cache(maxsize=2)
def _local_time(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(second))


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time (UTC), level, logger, message, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z"
        line: dict[str, Any] = {"time": at, "level": _level(record), "logger": record.name}
        arguments = record.args if isinstance(record.args, tuple) else ()
        if len(arguments) == 1 and isinstance(arguments[0], pairs):
            line["message"] = str(record.msg).removesuffix(" %s")
            line |= {
                key: value if isinstance(value, int | float) else _short(str(value))
                for key, value in arguments[0].fields.items()
                if key not in line
            }
        else:
            line["message"] = record.getMessage()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line).decode()


def _level(record: logging.LogRecord) -> str:
    return _LEVEL_NAMES.get(record.levelno, record.levelname)


class Handler(logging.StreamHandler[TextIO]):
    """Writes the lines of a hundredth of a second at once: at thousands a second, a write each is what costs.

    What is worth a warning goes out immediately, with all that came before it.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line, to be written soon."""
        try:
            self._lines.append(self.format(record) + self.terminator)
        except Exception:  # noqa: BLE001 (as every handler of logging: a bad line must not end the program)
            self.handleError(record)
        if record.levelno >= logging.WARNING:
            self.flush()
        elif len(self._lines) == 1:
            try:
                asyncio.get_running_loop().call_later(_GATHER, self.flush)
            except RuntimeError:
                self.flush()

    def flush(self) -> None:
        """Write what there is."""
        lines, self._lines = self._lines, []
        # A full disk must not end the daemon.
        with contextlib.suppress(OSError):
            if lines:
                self.stream.write("".join(lines))
            super().flush()


def setup(level: str, form: Literal["text", "json"]) -> None:
    """Send the lines of pushd, and warnings of its libraries, to standard error."""
    flush()  # by what has been in force; and what is said from here on comes after it
    journald = _is_journal(sys.stderr.fileno())
    # Not one of our lines names a thread, a process, a task or a place in the code: not to look for them saves time.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = None  # noqa: SLF001 (the way that logging's manual names)
    handler = Handler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter(journald=journald))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("pushd").setLevel(level.upper())


def flush() -> None:
    """Write what there is, now."""
    for handler in logging.getLogger().handlers:
        handler.flush()


def _is_journal(descriptor: int) -> bool:
    """Whether the stream goes to journald, by the device and inode in $JOURNAL_STREAM (systemd.exec(5))."""
    try:
        device, inode = os.environ.get("JOURNAL_STREAM", "").split(":")
        stat = os.fstat(descriptor)
    except (ValueError, OSError):
        return False
    return (device, inode) == (str(stat.st_dev), str(stat.st_ino))
