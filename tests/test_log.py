"""Lines that people, journald and machines can rely on."""

import asyncio
import contextlib
import io
import json
import logging
import os
import subprocess
import sys
from typing import Any

import pytest

from pushd.log import Handler, JsonFormatter, TextFormatter, pairs


def record(level: int, message: str, *arguments: Any) -> logging.LogRecord:
    made = logging.LogRecord("pushd.x", level, "x.py", 1, message, arguments, None)
    made.created = 1704103200.25
    made.msecs = 250
    return made


@pytest.mark.parametrize(
    ("level", "name"),
    [(logging.DEBUG, "DEBUG"), (logging.INFO, "INFO "), (logging.WARNING, "WARN "), (logging.ERROR, "ERROR")],
)
def test_text_line_is_the_specifications(level: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Time, level padded to five, message, fields."""
    monkeypatch.setenv("TZ", "UTC")
    line = TextFormatter(journald=False).format(
        record(level, "OCR钱包数据推送成功 %s", pairs(id=123, wallet_code="ABC123"))
    )
    assert line[19:] == f" {name} OCR钱包数据推送成功 id=123 wallet_code=ABC123"


def test_journald_gets_a_priority_for_each_line() -> None:
    """It has the time itself."""
    format_ = TextFormatter(journald=True).format
    assert format_(record(logging.WARNING, "a %s", pairs(b=1))) == "<4>a b=1"
    assert format_(record(logging.INFO, "a\nb")) == "<6>a\n<6>b"
    assert format_(record(logging.ERROR, "a")) == "<3>a"
    assert format_(record(logging.DEBUG, "a")) == "<7>a"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("ABC123", "ABC123"),
        ("张三", "张三"),
        ("https://a.example/x", "https://a.example/x"),
        ("", '""'),
        ("a b", '"a b"'),
        ("a=b", '"a=b"'),
        ('say "x"', '"say \\"x\\""'),
        ("a\nINFO b", '"a\\nINFO b"'),
        ("\x1b[31m", '"\\u001b[31m"'),
        ("a\u202eb", '"a\\u202eb"'),
        ("a\u2028b", '"a\\u2028b"'),
        (7, "7"),
    ],
)
def test_value_cannot_be_taken_for_anything_else(value: object, written: str) -> None:
    """No row forges a field, a line, or the terminal's colours."""
    assert str(pairs(key=value)) == f"key={written}"


def test_none_is_left_out() -> None:
    """A field without a value says nothing."""
    assert str(pairs(a=None, b=0)) == "b=0"


def test_json_line_holds_the_fields_as_keys() -> None:
    """One object a line, for machines."""
    line = JsonFormatter().format(record(logging.INFO, "OCR钱包数据推送成功 %s", pairs(id=123, wallet_code="A\nB")))
    assert json.loads(line) == {
        "time": "2024-01-01T10:00:00.250Z",
        "level": "INFO",
        "logger": "pushd.x",
        "message": "OCR钱包数据推送成功",
        "id": 123,
        "wallet_code": "A\nB",
    }
    assert "\n" not in line
    assert "推送成功" in line


def test_standard_error_that_is_the_journal_is_recognised() -> None:
    """By $JOURNAL_STREAM, as systemd.exec(5) says; a pipe that only looks like it is not."""
    program = (
        "import os, sys; s = os.fstat(2); "
        "os.environ['JOURNAL_STREAM'] = f'{s.st_dev}:{s.st_ino + int(sys.argv[1])}'; "
        "from pushd import log; log.setup('info', 'text'); "
        "import logging; logging.getLogger('pushd.x').info('hello')"
    )
    for off, expected in (("0", "<6>hello\n"), ("1", " INFO  hello\n")):
        done = subprocess.run(
            [sys.executable, "-c", program, off], capture_output=True, text=True, check=True, env=dict(os.environ)
        )
        assert done.stderr.endswith(expected)


def test_lines_stay_in_order_when_it_is_set_up_anew() -> None:
    """As a reload does."""
    program = (
        "import asyncio, logging; from pushd import log\n"
        "async def main():\n"
        "    for number in range(3):\n"
        "        log.setup('info', 'text')\n"
        "        logging.getLogger('pushd.x').info('info %s', number)\n"
        "    logging.getLogger('pushd.x').warning('last')\n"
        "asyncio.run(main())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert [line.split(maxsplit=3)[3] for line in done.stderr.splitlines()] == ["info 0", "info 1", "info 2", "last"]


class Stream(io.StringIO):
    """Remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        self.writes.append(text)
        self.written.set()
        return len(text)


async def test_lines_of_a_moment_go_out_together_and_a_warning_at_once() -> None:
    """In their order, and none is kept back."""
    handler = Handler(stream := Stream())
    handler.emit(record(logging.INFO, "one"))
    handler.emit(record(logging.INFO, "two"))
    assert stream.writes == []
    async with asyncio.timeout(5):
        await stream.written.wait()
    assert stream.writes == ["one\ntwo\n"]
    handler.emit(record(logging.INFO, "three"))
    handler.emit(record(logging.WARNING, "four"))
    assert stream.writes[1:] == ["three\nfour\n"]


def test_without_an_event_loop_each_line_goes_out_at_once() -> None:
    """There is no later turn."""
    handler = Handler(stream := Stream())
    handler.emit(record(logging.INFO, "one"))
    assert stream.writes == ["one\n"]


def test_full_disk_does_not_end_the_daemon() -> None:
    """What cannot be written is lost, and that is all."""
    full = io.TextIOWrapper(io.FileIO("/dev/full", "w"), write_through=True)
    handler = Handler(full)
    for _ in range(2):
        handler.handle(record(logging.WARNING, "hello"))
    with contextlib.suppress(OSError):
        full.close()
