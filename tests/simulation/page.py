"""What the simulation shows: a table, and pictures."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median, quantiles
from textwrap import fill
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

from flags.rollout.sequential import fixed_total_needed, total_needed
from flags.rollout.state import Status
from tests.simulation.cells import CALLS_PER_HOUR, Cell
from tests.simulation.model import FEATURES, GOOD
from tests.simulation.rollouts import DAYS, Fate

BEGIN: Final = "<!-- figures: written by `make simulate ARGS=--keep` -->\n"
END: Final = "<!-- end of figures -->\n"
_LIMIT: Final = 0.001
_CONFIDENCE: Final = 0.95
_COLORS: Final = ("#2a78b8", "#7fb3d9", "#c9c9c9", "#e8a33d", "#c5442d")
_ALL: Final = 100
_ENOUGH: Final = 20
"""Fewer have no quantiles worth the name."""

Fates = Mapping[Cell, list[Fate]]


def table(fates: Fates) -> str:
    """Return what became of the rollouts, as Markdown."""
    head = (
        "| feature | calls per hour | all have it | rolled back before 100 % | at 100 % | in HOLD "
        "| days until the end: median, 95 % |\n"
        "| --- | --- | --- | --- | --- | --- | --- |"
    )
    lines = [head]
    for cell, each in fates.items():
        early = [fate for fate in each if _is_early(fate)]
        late = [fate for fate in each if fate.status is Status.STOPPED and not _is_early(fate)]
        done = [fate for fate in each if fate.status is Status.COMPLETED]
        held = [fate for fate in each if fate.status is Status.RUNNING]
        lines.append(
            f"| {cell.feature.name} | {cell.calls_per_hour:,} | {_share(done, each)} "
            f"| {_share(early, each)} | {_share(late, each)} | {_held(held, each)} "
            f"| {_days(fate for fate in each if fate.status is not Status.RUNNING)} |"
        )
    return "\n".join(lines)


def causes(fates: Fates) -> str:
    """Return what rolled the rollouts back, as Markdown."""
    lines = ["| feature | calls per hour | rolled back by |", "| --- | --- | --- |"]
    for cell, each in fates.items():
        counted = Counter(fate.why for fate in each if fate.status is Status.STOPPED)
        named = "; ".join(f"{why}: {count:,}" for why, count in counted.most_common())
        lines.append(f"| {cell.feature.name} | {cell.calls_per_hour:,} | {named or '–'} |")
    return "\n".join(lines)


def samples() -> str:
    """Return how many calls a claim takes, as Markdown."""
    lines = [
        "| failed calls | calls, one look at a fixed sample | calls, looking again and again |",
        "| --- | --- | --- |",
        *(
            f"| {count} | {fixed_total_needed(count, _LIMIT, _CONFIDENCE):,} "
            f"| {total_needed(count, _LIMIT, _CONFIDENCE):,} |"
            for count in range(6)
        ),
    ]
    return "\n".join(lines)


def write(fates: Fates, page: Path, images: Path) -> None:
    """Put table and pictures into a page, in the place of those that are there."""
    images.mkdir(parents=True, exist_ok=True)
    # Ids in the file would differ from run to run.
    with mpl.rc_context({"svg.hashsalt": "simulation", "svg.fonttype": "none", "font.size": 9}):
        _draw_fates(fates, images / "simulation-fates.svg")
        _draw_times(fates, images / "simulation-times.svg")
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    rollouts = len(next(iter(fates.values())))
    figures = "\n\n".join(
        (
            f"{rollouts:,} rollouts for each line.",
            table(fates),
            f"![What became of the rollouts]({images.name}/simulation-fates.svg)",
            f"![How long they took]({images.name}/simulation-times.svg)",
            causes(fates),
            "To claim an error rate below 0.1 % with a confidence of 95 % takes:",
            samples(),
        )
    )
    page.write_text(f"{before}{BEGIN}\n{figures}\n\n{END}{after}", encoding="utf-8")


def _is_early(fate: Fate) -> bool:
    return fate.status is Status.STOPPED and fate.percent < _ALL


def _share(some: list[Fate], of: list[Fate]) -> str:
    return f"{100 * len(some) / len(of):.2f} %"


def _held(held: list[Fate], of: list[Fate]) -> str:
    at = {percent: [fate for fate in held if fate.percent == percent] for percent in _shares(held)}
    where = ", ".join(f"{_share(some, of)} at {percent} %" for percent, some in at.items())
    return f"{_share(held, of)} ({where})" if len(at) > 1 else _share(held, of)


def _shares(fates: list[Fate]) -> list[int]:
    return sorted({fate.percent for fate in fates})


def _days(fates: Iterable[Fate]) -> str:
    days = [fate.hours / 24 for fate in fates]
    if len(days) < _ENOUGH:
        return "–"
    return f"{median(days):.2g}, {quantiles(days, n=20)[-1]:.2g}"


def _draw_fates(fates: Fates, file: Path) -> None:
    """Draw a bar for each cell: which share of its rollouts came to which end."""
    ends = {
        "completed": lambda fate: fate.status is Status.COMPLETED,
        "HOLD at 50 or 100 %": lambda fate: fate.status is Status.RUNNING and fate.percent > 10,
        "HOLD at 10 %": lambda fate: fate.status is Status.RUNNING and fate.percent <= 10,
        "rolled back at 100 %": lambda fate: fate.status is Status.STOPPED and not _is_early(fate),
        "rolled back before": _is_early,
    }
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.add_subplot()
    names = [f"{cell.feature.name}\n{cell.calls_per_hour:,} calls/h" for cell in fates]
    left = [0.0] * len(names)
    for (end, belongs), color in zip(ends.items(), _COLORS, strict=True):
        widths = [100 * sum(map(belongs, each)) / len(each) for each in fates.values()]
        axes.barh(names, widths, left=left, label=end, color=color)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.set_xlabel("% of the rollouts")
    axes.set_xlim(0, 100)
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(file, metadata={"Date": None})


def _draw_times(fates: Fates, file: Path) -> None:
    """Draw how many rollouts have ended, by time: one curve for each cell."""
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    panels = figure.subplots(1, len(FEATURES), sharey=True)
    for axes, feature in zip(panels, FEATURES, strict=True):
        wanted = Status.COMPLETED if feature is GOOD else Status.STOPPED
        for calls, color in zip(CALLS_PER_HOUR, (_COLORS[4], _COLORS[3], _COLORS[0]), strict=True):
            each = fates[Cell(feature, calls)]
            hours = sorted(fate.hours for fate in each if fate.status is wanted)
            # Fifty points tell the curve as well as ten thousand.
            points = [round(at * (len(hours) - 1) / 49) for at in range(50)] if hours else []
            axes.step(
                [hours[at] for at in points],
                [100 * (at + 1) / len(each) for at in points],
                where="post",
                color=color,
                label=f"{calls:,} calls/h",
            )
        axes.set_xscale("log")
        axes.set_xlim(0.25, 24 * DAYS)
        axes.set_xticks([1, 6, 24, 24 * 7, 24 * DAYS], ["1 h", "6 h", "1 d", "7 d", f"{DAYS} d"])
        axes.minorticks_off()
        axes.set_ylim(0, 101)
        axes.grid(color="#e5e5e5")
        axes.set_title(fill(f"{wanted}: {feature.name}", 26), fontsize=9)
    panels[0].set_ylabel("% of the rollouts")
    panels[0].legend(loc="upper left", frameon=False)
    figure.savefig(file, metadata={"Date": None})
