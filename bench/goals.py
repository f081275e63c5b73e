"""What is to be reached, as ratios within one run: each goal is a figure and its bound."""

from collections.abc import Callable
from dataclasses import dataclass

from bench.figures import Figures

Figure = Callable[[Figures], float | None]


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that must not fall below its bound, or, `at_most`, not exceed it."""

    name: str
    chinese: str
    figure: Figure
    bound: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        """Answer whether this value is good enough, as it is shown: to two digits after the point."""
        shown = round(value, 2)
        return shown <= self.bound if self.at_most else shown >= self.bound


def ratio(work: str, name: str, other: str, engine: str = "pushd") -> Figure:
    """Answer a figure: of pushd, over the same of another."""
    return lambda figures: figures.ratio(work, name, engine, other)


def over_best_queue(work: str, engine: str = "pushd") -> Figure:
    """Answer a figure: rows a second, over those of the fastest of the durable job queues."""

    def figure(figures: Figures) -> float | None:
        others = [each for each in figures.engines(work) if each != "naive" and not each.startswith("pushd")]
        rates = [rate for each in others if (rate := figures.middle(work, each, "rows_per_s"))]
        mine = figures.middle(work, engine, "rows_per_s")
        return mine / max(rates) if mine and rates else None

    return figure


def left_to_writers(way: str, writers: int = 32) -> Figure:
    """Answer a figure: commits a second, over those into the table without a trigger."""
    return lambda figures: figures.ratio(f"inserts {writers}", "commits_per_s", way, "no trigger")


def of_pushd(work: str, name: str, engine: str = "pushd") -> Figure:
    """Answer a figure as it is."""
    return lambda figures: figures.middle(work, engine, name)


GOALS = (
    Goal(
        "commit → arrival at 50 rows/s, p50, over the naive script's",
        "每秒 50 行时提交 → 送达的 p50，与简单脚本之比",
        ratio("latency 50", "p50_ms", "naive"),
        1.1,
        at_most=True,
    ),
    Goal(
        "single-row commits from 4 writers, rows/s delivered, over the naive script's",
        "4 个写入者逐行提交，每秒送达行数，与简单脚本之比",
        ratio("stream 4", "rows_per_s", "naive"),
        1.6,
    ),
    Goal(
        "the same, over the fastest durable job queue's",
        "同上，与最快的持久任务队列之比",
        over_best_queue("stream 4"),
        2.5,
    ),
    Goal(
        "20,000 rows in one commit, rows/s delivered, over the naive script's",
        "一次提交 20,000 行，每秒送达行数，与简单脚本之比",
        ratio("bulk", "rows_per_s", "naive"),
        2.0,
    ),
    Goal(
        "the same, over the fastest durable job queue's", "同上，与最快的持久任务队列之比", over_best_queue("bulk"), 2.5
    ),
    Goal(
        "INSERT rate left to 32 writers, daemon down",
        "32 个写入者剩余的 INSERT 速率，守护进程未运行",
        left_to_writers("daemon down"),
        0.85,
    ),
    Goal(
        "INSERT rate left to 32 writers, daemon pushing on the same cores",
        "32 个写入者剩余的 INSERT 速率，守护进程在同样的核上推送",
        left_to_writers("daemon up"),
        0.85,
    ),
    Goal(
        "CPU of the daemon a push, µs",
        "守护进程每次推送的 CPU，µs",
        of_pushd("bulk", "daemon_cpu_us"),
        110,
        at_most=True,
    ),
    Goal(
        "the same with 24 pushers, µs",
        "同上，24 个推送器，µs",
        of_pushd("bulk", "daemon_cpu_us", "pushd, 24 pushers"),
        110,
        at_most=True,
    ),
    Goal(
        "resident with full queues, MB",
        "队列全满时的常驻内存，MB",
        of_pushd("backlog", "resident_mb"),
        64,
        at_most=True,
    ),
    Goal("idle, % of a core", "空闲时占一个核的 %", of_pushd("idle", "core_percent"), 0.3, at_most=True),
    Goal(
        "commit → arrival at 1,000 rows/s, p99, ms",
        "每秒 1,000 行时提交 → 送达的 p99，ms",
        of_pushd("latency 1000", "p99_ms"),
        50,
        at_most=True,
    ),
)
