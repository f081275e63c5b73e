"""Write down what a run has measured: docs/benchmarks, and the section "Figures" of both READMEs.

python -m bench.report    write the texts anew from docs/benchmarks/results.json
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from bench.figures import Figures, Measurement
from bench.goals import GOALS
from bench.works import WAYS

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "benchmarks"
_PAGE = Path(__file__).with_name("page.md")
_BLOCK = re.compile(r"(?<=<!-- figures: written by bench/report.py -->\n).*?(?=<!-- end of figures -->)", re.DOTALL)
_WRITERS = (1, 8, 32)


@dataclass(frozen=True, slots=True)
class Results:
    """A whole run: on what, and what came of it."""

    machine: dict[str, str]
    figures: Figures


@dataclass(frozen=True, slots=True)
class Words:
    """What the READMEs' tables say, in one language."""

    file: str
    goals: tuple[str, ...]
    writers: tuple[str, ...]
    ways: tuple[str, ...]
    commits: str
    goal_name: Callable[[int], str]


LANGUAGES = (
    Words(
        "README.md",
        ("`make bench`", "measured", "to reach"),
        ("1 writer", "8 writers", "32 writers"),
        (
            "without a trigger, commits/s",
            "our trigger, no daemon",
            "our trigger, daemon pushing",
            "a trigger that always notifies, nobody listening",
        ),
        "INSERT rate left, by pgbench",
        lambda number: GOALS[number].name,
    ),
    Words(
        "README.zh-CN.md",
        ("`make bench`", "测得", "目标"),
        ("1 个写入者", "8 个写入者", "32 个写入者"),
        (
            "没有触发器，每秒提交数",
            "我们的触发器，无守护进程",
            "我们的触发器，守护进程在推送",
            "总是通知的触发器，无人监听",
        ),
        "剩余的 INSERT 速率（pgbench）",
        lambda number: GOALS[number].chinese,
    ),
)


def write(results: Results) -> None:
    """Write the data, their page, and the READMEs' figures; the plots are `plots.write`'s."""
    FOLDER.mkdir(exist_ok=True)
    data = {"machine": results.machine, "measurements": [asdict(each) for each in results.figures.measurements]}
    (FOLDER / "results.json").write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")
    write_texts(results)


def read() -> Results:
    """Read the data of the last run that was written down."""
    data = orjson.loads((FOLDER / "results.json").read_bytes())
    return Results(data["machine"], Figures(Measurement(**each) for each in data["measurements"]))


def write_texts(results: Results) -> None:
    """Write what people read: the page of docs/benchmarks, and the READMEs' figures."""
    (FOLDER / "README.md").write_text(page(results), "utf-8")
    for words in LANGUAGES:
        readme = ROOT / words.file
        readme.write_text(with_figures(readme.read_text("utf-8"), results.figures, words), "utf-8")


def with_figures(text: str, figures: Figures, words: Words) -> str:
    """Answer a README's text with these figures in place of those that it had."""
    block = f"{goals(figures, words)}\n\n{inserts(figures, words)}\n"
    return _BLOCK.sub(lambda _: block, text)


def goals(figures: Figures, words: Words) -> str:
    """Answer the table of goals: ratios within one run first, then what is absolute."""
    rows = []
    for number, goal in enumerate(GOALS):
        value = goal.figure(figures)
        bound = f"{'≤' if goal.at_most else '≥'} {goal.bound:g}"
        shown = "–" if value is None else f"{value:.2f}" if goal.met(value) else f"**{value:.2f}**"
        rows.append((words.goal_name(number), shown, bound))
    return _table(words.goals, rows)


def inserts(figures: Figures, words: Words) -> str:
    """Answer the table of what is left to writers."""
    head = (words.commits, *words.writers)
    rows = []
    for way, name in zip(WAYS, words.ways, strict=True):
        cells = [
            f"{figures.middle(f'inserts {writers}', way, 'commits_per_s') or 0:,.0f}"
            if way == WAYS[0]
            else f"{figures.ratio(f'inserts {writers}', 'commits_per_s', way, WAYS[0]) or 0:.2f}"
            for writers in _WRITERS
        ]
        rows.append((name, *cells))
    return _table(head, rows)


def page(results: Results) -> str:
    """Answer the page of docs/benchmarks."""
    figures = results.figures
    flood = figures.middle("receiver", "flood", "requests_per_s") or 0
    busiest = max(each.values.get("receiver_core_percent", 0) for each in figures.measurements)
    return _PAGE.read_text("utf-8").format(
        goals=goals(figures, LANGUAGES[0]),
        latency50=_engines(figures, "latency 50", _DELAYS),
        latency1000=_engines(figures, "latency 1000", _DELAYS),
        stream4=_engines(figures, "stream 4", _RATES),
        stream16=_engines(figures, "stream 16", _RATES),
        bulk=_engines(figures, "bulk", _RATES),
        backlog=_engines(figures, "backlog", _BACKLOG),
        several=_several(figures),
        dead=_dead(figures),
        inserts=inserts(figures, LANGUAGES[0]),
        share=_share(figures),
        idle=_idle(figures),
        flood=f"{flood:,.0f}",
        busiest=f"{busiest:.0f}",
        machine=_table(("", ""), results.machine.items()),
    )


_Column = tuple[str, str, str]  # its heading, the name of its figures, how they are written
_DELAYS: tuple[_Column, ...] = (
    ("p50, ms", "p50_ms", ".2f"),
    ("p99, ms", "p99_ms", ".1f"),
    ("longest, ms", "max_ms", ".1f"),
    ("% of a core", "daemon_core_percent", ".1f"),
)
_RATES: tuple[_Column, ...] = (
    ("rows/s delivered", "rows_per_s", ",.0f"),
    ("CPU of the daemon a push, µs", "daemon_cpu_us", ",.0f"),
    ("of PostgreSQL, µs", "postgres_cpu_us", ",.0f"),
    ("resident, MB", "resident_mb", ".0f"),
)
_BACKLOG: tuple[_Column, ...] = (("rows/s delivered", "rows_per_s", ",.0f"), ("resident, MB", "resident_mb", ".0f"))


def _engines(figures: Figures, work: str, columns: Sequence[_Column]) -> str:
    """Answer a table: an engine a line, and pushd's first figure over that engine's."""
    rows = []
    for engine in figures.engines(work):
        ratio = figures.ratio(work, columns[0][1], "pushd", engine) or 0
        cells = [format(figures.middle(work, engine, name) or 0, how) for _, name, how in columns]
        rows.append((engine, f"{ratio:.2f}", *cells))
    return _table(("", "pushd over it", *(heading for heading, *_ in columns)), rows)


def _several(figures: Figures) -> str:
    rows = []
    for daemons, work in enumerate(("bulk", "bulk, 2 daemons", "bulk, 3 daemons"), start=1):
        cells = [format(figures.middle(work, "pushd", name) or 0, how) for _, name, how in _RATES]
        rows.append((f"{daemons}", f"{figures.middle(work, 'pushd', 'arrived') or 0:,.0f}", *cells))
    return _table(("daemons", "rows that arrived", *(heading for heading, *_ in _RATES)), rows)


def _dead(figures: Figures) -> str:
    rows = []
    for work, name in (("alone", "alone"), ("beside dead", "beside one that refuses every connection")):
        cells = [format(figures.middle(work, "pushd", column) or 0, how) for _, column, how in _DELAYS]
        rows.append((name, *cells))
    return _table(("the healthy endpoint", *(heading for heading, *_ in _DELAYS)), rows)


def _share(figures: Figures) -> str:
    rows = []
    for writers in _WRITERS:
        names = ("pushed_per_s", "daemon_core_percent", "receiver_core_percent")
        values = [figures.middle(f"inserts {writers}", "daemon up", name) or 0 for name in names]
        rows.append((f"{writers}", f"{values[0]:,.0f}", *(f"{value:.0f} %" for value in values[1:])))
    return _table(("writers", "pushed meanwhile, rows/s", "daemon, of a core", "receiver, of a core"), rows)


def _idle(figures: Figures) -> str:
    share, transactions, resident = (
        figures.middle("idle", "pushd", name) or 0 for name in ("core_percent", "transactions_per_s", "resident_mb")
    )
    return (
        f"{share:.2f} % of a core, {transactions:.1f} transactions/s of the whole database, {resident:.0f} MB resident"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


if __name__ == "__main__":
    write_texts(read())
