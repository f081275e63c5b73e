"""What is shown: whole, and harmless to a terminal."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from pushd.cli.display import harmless, plain, show_json, show_lines, show_table

HOSTILE = "\x1b[2J\x9b31m\x07\r\n\u202e[bold red]张三[/]\x7f"


def test_text_of_strangers_is_one_harmless_line() -> None:
    """What does not print is written as an escape; the rest stays as it is."""
    assert plain(HOSTILE) == r"\x1b[2J\x9b31m\x07\r\n\u202e[bold red]张三[/]\x7f"
    assert plain("张三 🎉") == "张三 🎉"
    assert plain(None) == ""


def test_json_says_the_same_and_harms_nothing() -> None:
    """Escapes that every reader of JSON knows."""
    text = harmless(json.dumps({"a": HOSTILE + "\U000e0001"}, ensure_ascii=False))
    assert text.isprintable()
    assert json.loads(text) == {"a": HOSTILE + "\U000e0001"}


@pytest.mark.parametrize(
    "show",
    [
        lambda: show_table(("a", "b"), [(HOSTILE, "x" * 500)]),
        lambda: show_lines([("a", HOSTILE), ("b", "x" * 500)]),
        lambda: show_json({"a": HOSTILE, "b": "x" * 500}),
    ],
    ids=["table", "lines", "json"],
)
def test_pipe_gets_whole_lines(show: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing folded, nothing cut off, no colour, no control character but the end of a line."""
    show()
    out = capsys.readouterr().out
    assert "x" * 500 in out
    assert "张三" in out
    assert out.replace("\n", "").isprintable()
    assert not any(line.endswith(" ") for line in out.splitlines())


def test_terminal_gets_folded_cells() -> None:
    """However narrow it is, each character of a cell is there, and none of it is obeyed."""
    script = f"from pushd.cli.display import show_table; show_table(('a', 'b'), [({HOSTILE!r}, 'y' * 300)])"
    leader, follower = pty.openpty()
    environ = {**os.environ, "COLUMNS": "60", "TERM": "xterm-256color"}
    process = subprocess.Popen([sys.executable, "-c", script], stdout=follower, env=environ)
    os.close(follower)
    said = b""
    try:
        while part := os.read(leader, 65536):
            said += part
    except OSError:  # the way in which a terminal ends on Linux
        pass
    os.close(leader)
    assert process.wait(30) == 0
    assert said.count(b"y") == 300
    for harm in (b"\x1b[2J", "\x9b".encode(), b"\x07", "\u202e".encode()):
        assert harm not in said


def test_daemon_does_not_carry_what_draws_tables() -> None:
    """`pushctl run` imports none of it."""
    script = "import sys, pushd.cli.run; print([each for each in sys.modules if each.split('.')[0] == 'rich'])"
    found: Any = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
