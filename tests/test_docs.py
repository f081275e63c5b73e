"""What the documents name exists, and what exists is named in them."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomlkit
from click import Context

from pushd.cli import main
from pushd.config import Config

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
README_ZH = ROOT / "README.zh-CN.md"
OPERATIONS = ROOT / "docs" / "operations.md"
READMES = pytest.mark.parametrize("readme", [README, README_ZH], ids=["English", "Chinese"])


def keys() -> set[str]:
    """Every key of the configuration, by its path."""
    return {
        f"{table}.{key}"
        for table, field in Config.model_fields.items()
        for key in field.annotation.model_fields  # type: ignore[union-attr]  # each table is a model
    }


def loud_lines() -> Iterator[str]:
    """The words of every log line of WARN and above."""
    for file in sorted((ROOT / "pushd").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if ast.unparse(node.func.value) != "log" or node.func.attr not in {"warning", "error", "log", "exception"}:
                continue
            for argument in node.args:
                if isinstance(argument, ast.Constant) and (words := str(argument.value).removesuffix(" %s")) != "%s":
                    yield words


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    below = text.split(f"\n## {heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert table
    lines = table[0].strip().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@READMES
def test_every_key_is_documented_and_no_other(readme: Path) -> None:
    """In the table of each README, a line a key or two that belong together."""
    text = readme.read_text("utf-8")
    documented = set(re.findall(rf"`((?:{'|'.join(Config.model_fields)})\.[a-z_]+)`(?=[,、 |])", text))
    assert documented == keys()


def test_every_key_stands_in_the_sample() -> None:
    """Set, or commented out with its comment."""
    text = (ROOT / "config.toml").read_text("utf-8")
    uncommented = tomlkit.parse(re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE))
    sample = {f"{table}.{key}" for table, values in uncommented.unwrap().items() for key in values}
    assert sample == keys()


@READMES
def test_every_command_is_documented_and_no_other(readme: Path) -> None:
    """By its name, with pushctl before it."""
    commands = main.list_commands(Context(main))
    text = readme.read_text("utf-8") + OPERATIONS.read_text("utf-8")
    named = set(re.findall(r"pushctl ([a-z][a-z-]+)", text))
    assert named == set(commands)


def test_man_pages_are_those_of_the_commands(tmp_path: Path) -> None:
    """As make man writes them."""
    script = ROOT / "docs" / "manual.py"
    subprocess.run([sys.executable, script, tmp_path], check=True, timeout=60)
    made = {page.name: page.read_text("utf-8") for page in tmp_path.iterdir()}
    assert made == {page.name: page.read_text("utf-8") for page in (ROOT / "docs" / "man").iterdir()}


def test_each_command_says_in_short_what_it_does() -> None:
    """In a first sentence that neither the list of commands nor a man page has to cut off."""
    context = Context(main)
    short = {
        name: (main.get_command(context, name) or main).get_short_help_str(45) for name in main.list_commands(context)
    }
    assert [name for name, text in short.items() if text.endswith("...") or not text] == []


def test_every_loud_line_is_in_the_runbook_and_no_other() -> None:
    """Those that a fault of the table makes are the housekeeper's and the preparation's, in table.py's words."""
    table_faults = {
        "has no index that begins with",
        "row level security is on for",
        "the trigger on",
        "no table is called",
    }
    source = (ROOT / "pushd" / "table.py").read_text("utf-8")
    assert all(words in source for words in table_faults)
    documented = {line[1].strip("`") for line in rows(OPERATIONS.read_text("utf-8"), "Log lines")}
    assert documented == set(loud_lines()) | table_faults


def test_every_reason_is_in_the_runbook_and_no_other() -> None:
    """By its code, with the words that it begins with; and the page has a word for each in Chinese."""
    source = (ROOT / "pushd" / "health.py").read_text("utf-8")
    codes = set(re.findall(r'Finding\(\s*"(\w+)"', source))
    table = rows(OPERATIONS.read_text("utf-8"), "Reasons and warnings")
    assert {line[0].strip("`") for line in table} == codes
    words = source + (ROOT / "pushd" / "table.py").read_text("utf-8")
    begins = [part for line in table for part in line[1].strip("`").split("…") if part.strip()]
    assert [part for part in begins if part.strip() not in words] == []
    chinese = (ROOT / "pushd" / "page" / "words.js").read_text("utf-8").rpartition("reason: {")[2]
    assert set(re.findall(r'(\w+): "', chinese)) == codes


def test_every_session_is_in_the_runbook_and_no_other() -> None:
    """By the purpose that the log and pg_stat_activity name it by."""
    source = (ROOT / "pushd" / "daemon.py").read_text("utf-8")
    documented = {line[0].strip("`") for line in rows(OPERATIONS.read_text("utf-8"), "Sessions")}
    assert documented == set(re.findall(r'_session\("(\w+)"', source))


def test_every_alert_is_in_the_runbook_and_no_other() -> None:
    """By its name."""
    alerts = re.findall(r"- alert: (\w+)", (ROOT / "dashboards" / "alerts.yml").read_text("utf-8"))
    documented = [line[0].strip("`") for line in rows(OPERATIONS.read_text("utf-8"), "Alerts")]
    assert documented == alerts


def test_every_room_has_its_floor_in_the_readme() -> None:
    """The table of floors names what the linter knows."""
    pyproject = tomlkit.parse((ROOT / "pyproject.toml").read_text("utf-8")).unwrap()
    (contract,) = pyproject["tool"]["importlinter"]["contracts"]
    rooms = {room.strip() for layer in contract["layers"] for room in layer.split("|")} - {"__main__"}
    floors = re.findall(r"^\| \d \| (.*) \|$", README.read_text("utf-8"), re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", "".join(floors))) == rooms


@READMES
def test_links_lead_somewhere(readme: Path) -> None:
    """Files that the documents point to are there."""
    for document in (readme, OPERATIONS):
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_both_readmes_have_the_same_parts() -> None:
    """Section by section, table by table, and the same examples."""

    def shape(readme: Path) -> list[str]:
        text = readme.read_text("utf-8")
        return re.findall(r"^(?:#{1,4}(?= )|```\w*|\|(?=-))", text, re.MULTILINE)

    assert shape(README) == shape(README_ZH)
