"""Plots as what has to be drawn: where, in per cent of the plot, or in a box of 1000 by 1000."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from load.report.formats.page.scales import (
    Scale,
    Tick,
    count_scale,
    latency_scale,
    percentile_scale,
    round_time,
    time_scale,
)
from load.report.latencies import Latencies
from load.report.overtime import OverTime, Part
from load.report.wording import duration, number

_MOST_NINES: Final = 4
_FEWEST_NINES: Final = 2
_CURVE_POINTS_IN_A_NINE: Final = 24
_MOST_READINGS: Final = 200
_READ_SHARES: Final = (
    0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995, 0.9975,
    0.999, 0.9995, 0.99975, 0.9999,
)  # fmt: skip
_TOUCHING: Final = 0.01
"""How far apart, in per cent of the plot, two bars are that touch."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line, or an area, with a name."""

    kind: str
    """What it is of, such as p99: how it is drawn follows from that."""
    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What is told where a reader points at."""

    left: float
    width: float
    at: float
    lines: Sequence[str]


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot."""

    label: str
    """What it shows, for those who do not see it."""
    across: Sequence[Tick]
    up: Sequence[Tick]
    lines: Sequence[Line]
    readings: Sequence[Reading]
    logarithmic: bool


def latency_plots(run: OverTime, clocks: Sequence[str]) -> Mapping[str, Plot]:
    """Return the percentiles of each clock over time, all on one scale; no plots of none."""
    drawn = ("p50", "p95", "p99")
    values = [
        _clock(part, clock)[name]
        for clock in clocks
        for part in run.parts
        for name in drawn
        if name in _clock(part, clock)
    ]
    if not values:
        return {}
    across, up = time_scale(run.end), latency_scale(values)
    return {clock: _latency_plot(run, clock, drawn, across, up) for clock in clocks}


def _clock(part: Part, clock: str) -> Mapping[str, int]:
    return part.service if clock == "service" else part.response


def _latency_plot(
    run: OverTime, clock: str, drawn: Sequence[str], across: Scale, up: Scale
) -> Plot:
    def path(name: str) -> str:
        return _stretches(
            [
                (
                    across.place((part.begin + part.end) / 2),
                    up.place(_clock(part, clock)[name]),
                )
                if name in _clock(part, clock)
                else None
                for part in run.parts
            ]
        )

    def told(part: Part) -> Sequence[str]:
        times = _clock(part, clock)
        if not times:
            return ["no call succeeded" if part.count else "no call ended"]
        return [", ".join(f"{name} {duration(value)}" for name, value in times.items())]

    def height(part: Part) -> float:
        return _clock(part, clock).get("p99", 0)

    worst = max(run.parts, key=height)
    label = f"Percentiles of the {clock} time over time"
    if "p99" in _clock(worst, clock):
        label += (
            f": p99 is at most {duration(_clock(worst, clock)['p99'])}, {_span(worst, run)} into "
            "the run"
        )
    return Plot(
        label=label,
        across=across.ticks,
        up=up.ticks,
        lines=[Line(name, name, path(name)) for name in drawn],
        readings=_readings(run, across, told, height),
        logarithmic=up.logarithmic,
    )


def throughput_plot(run: OverTime) -> Plot:
    """Return how many calls ended in each second over time."""
    return _rate_plot(run, "calls", "Calls that ended", lambda part: part.count)


def errors_plot(run: OverTime) -> Plot:
    """Return how many calls failed in each second over time."""
    return _rate_plot(run, "errors", "Calls that failed", lambda part: part.errors)


def _rate_plot(run: OverTime, kind: str, what: str, count: Callable[[Part], int]) -> Plot:
    def rate(part: Part) -> float:
        return count(part) / run.length

    def told(part: Part) -> Sequence[str]:
        return [f"{number(count(part))} {kind}, {number(rate(part))} per second"]

    most = max(map(rate, run.parts))
    across, up = time_scale(run.end), count_scale(most)
    outline = _steps(
        [
            (across.place(part.begin), across.place(part.end), up.place(rate(part)))
            for part in run.parts
        ]
    )
    return Plot(
        label=f"{what}, per second, over time: at most {number(most)}",
        across=across.ticks,
        up=up.ticks,
        lines=[Line(kind, kind, outline)],
        readings=_readings(run, across, told, rate),
        logarithmic=False,
    )


def percentile_plot(clocks: Mapping[str, Latencies]) -> Plot:
    """Return how long each share of the calls took at most, up to four nines.

    A line ends where the slowest call alone is left.
    """
    most = max(times.count for times in clocks.values())
    nines = max(_FEWEST_NINES, min(_MOST_NINES, math.ceil(math.log10(most))))
    across = percentile_scale(nines)
    shares = [
        1 - 10 ** (-step / _CURVE_POINTS_IN_A_NINE)
        for step in range(nines * _CURVE_POINTS_IN_A_NINE + 1)
    ]
    curves = {clock: _curve(times, shares) for clock, times in clocks.items()}
    up = latency_scale([value for curve in curves.values() for _, value in curve])
    lines = [
        Line(
            clock,
            f"{clock} time",
            _stretches(
                [(across.place(1 / (1 - share)), up.place(value)) for share, value in curve]
            ),
        )
        for clock, curve in curves.items()
    ]
    return Plot(
        label="Percentiles, each nine as wide as the one before",
        across=across.ticks,
        up=up.ticks,
        lines=lines,
        readings=_percentile_readings(clocks, across),
        logarithmic=up.logarithmic,
    )


def _curve(times: Latencies, shares: Sequence[float]) -> Sequence[tuple[float, int]]:
    """Return which time each share took at most; where one call alone is left, up to that."""
    last = 1 - 1 / times.count
    curve = [(share, times.at(share)) for share in shares if share < last]
    return [*curve, (last, times.at(1))] if last <= shares[-1] else curve


def _percentile_readings(clocks: Mapping[str, Latencies], across: Scale) -> Sequence[Reading]:
    shares = [share for share in _READ_SHARES if 1 / (1 - share) <= across.high * (1 + 1e-9)]
    places = [across.place(1 / (1 - share)) for share in shares]
    edges = [
        0.0,
        *((before + later) / 2 for before, later in pairwise(places)),
        100.0,
    ]
    return [
        Reading(
            left=left,
            width=right - left,
            at=place,
            lines=[
                f"{share * 100:g} % of the calls took at most",
                ", ".join(
                    f"{duration(times.at(share))} ({clock} time)" for clock, times in clocks.items()
                ),
            ],
        )
        for share, place, left, right in zip(shares, places, edges, edges[1:], strict=False)
    ]


def _readings(
    run: OverTime,
    across: Scale,
    told: Callable[[Part], Sequence[str]],
    height: Callable[[Part], float],
) -> Sequence[Reading]:
    """Return what is told of each part, or of the highest of several that are too narrow."""
    together = math.ceil(len(run.parts) / _MOST_READINGS)
    readings = []
    for first in range(0, len(run.parts), together):
        parts = run.parts[first : first + together]
        left, right = across.place(parts[0].begin), across.place(parts[-1].end)
        part = max(parts, key=height)
        at = across.place((part.begin + part.end) / 2)
        readings.append(Reading(left, right - left, at, [_span(part, run), *told(part)]))
    return readings


def _span(part: Part, run: OverTime) -> str:
    begin, end = (round_time(at, run.length) for at in (part.begin, part.begin + run.length))
    return f"{begin} to {end}"


def _stretches(points: Sequence[tuple[float, float] | None]) -> str:
    """Return the path through points in per cent; it is broken where one is missing."""
    path: list[str] = []
    last = None
    for point in points:
        if point is not None:
            x, y = point[0] * 10, 1000 - point[1] * 10
            # A stretch of no length is a dot where nothing follows.
            path.append(f"M{x:.4g} {y:.4g}h0" if last is None else f"L{x:.4g} {y:.4g}")
        last = point
    return "".join(path)


def _steps(bars: Sequence[tuple[float, float, float]]) -> str:
    """Return the outline of bars, of which each is from where to where, and how high."""
    path = [f"M{bars[0][0] * 10:.5g} 1000"]
    end = bars[0][0]
    for left, right, height in bars:
        if left > end + _TOUCHING:
            path.append(f"V1000H{left * 10:.5g}")
        path.append(f"V{1000 - height * 10:.5g}H{right * 10:.5g}")
        end = right
    return "".join([*path, "V1000z"])
