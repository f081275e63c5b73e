"""The three plots of docs/benchmarks."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures import Figures
from bench.works import WAYS

_OURS, _OTHERS = "#336791", "#b8c4ce"
_WIDTH, _HEIGHT = 9.0, 3.6  # inches


def write(figures: Figures, folder: Path) -> None:
    """Write them as SVG, the same bytes for the same figures."""
    mpl.rcParams.update({"svg.hashsalt": "pushd", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    plots = {"latency": _latency(figures), "rates": _rates(figures), "inserts": _inserts(figures)}
    for name, plot in plots.items():
        plot.savefig(folder / f"{name}.svg", metadata={"Date": None})


def _latency(figures: Figures) -> Figure:
    plot = Figure((_WIDTH, _HEIGHT), layout="constrained")
    for axes, rate in zip(plot.subplots(1, 2), (50, 1000), strict=True):
        work = f"latency {rate}"
        _bars(axes, figures, work, "p99_ms", alpha=0.45)
        _bars(axes, figures, work, "p50_ms")
        axes.set_title(f"commit → arrival at {rate:,} rows/s: p50, and pale p99")
        axes.set_xlabel("ms (logarithmic)")
        axes.set_xscale("log")
    return plot


def _rates(figures: Figures) -> Figure:
    plot = Figure((_WIDTH, _HEIGHT), layout="constrained")
    works = (("stream 4", "single-row commits, 4 writers"), ("bulk", "20,000 rows in one commit"))
    for axes, (work, title) in zip(plot.subplots(1, 2), works, strict=True):
        _bars(axes, figures, work, "rows_per_s")
        axes.set_title(title)
        axes.set_xlabel("rows/s delivered")
    return plot


def _inserts(figures: Figures) -> Figure:
    plot = Figure((_WIDTH, _HEIGHT), layout="constrained")
    axes = plot.subplots()
    writers = (1, 8, 32)
    for position, way in enumerate(WAYS[1:]):
        ratios = [figures.ratio(f"inserts {count}", "commits_per_s", way, WAYS[0]) or 0 for count in writers]
        places = [group + (position - 1) * 0.26 for group in range(len(writers))]
        colour = _OTHERS if way == WAYS[-1] else _OURS
        bars = axes.bar(places, ratios, 0.24, label=way, color=colour, alpha=0.55 if way == "daemon up" else 1)
        axes.bar_label(bars, fmt="%.2f")
    axes.axhline(1, color="#888888", linewidth=0.8, linestyle="--")
    axes.set_xticks(range(len(writers)), [f"{count} writers" for count in writers])
    axes.set_title("commits a second left, over the table without a trigger")
    axes.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    return plot


def _bars(axes: Axes, figures: Figures, work: str, name: str, alpha: float = 1.0) -> None:
    engines = figures.engines(work)[::-1]
    values = [figures.middle(work, engine, name) or 0 for engine in engines]
    colours = [_OURS if engine.startswith("pushd") else _OTHERS for engine in engines]
    bars = axes.barh(engines, values, color=colours, alpha=alpha)
    axes.bar_label(bars, fmt=lambda value: f"{value:,.0f}" if value >= 100 else f"{value:.1f}", padding=3)
