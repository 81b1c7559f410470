"""Where values stand along an axis, and which of them are named there."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

_LOGARITHMIC_FROM: Final = 30
"""How many times the least the greatest latency must be, for the small ones to be seen."""
_FEW_DECADES: Final = 2
_MOST_DECADES: Final = 8
_TICKS: Final = 6

_TIMES: Final = (
    (1e-9, "ns"),
    (1e-6, "µs"),
    (1e-3, "ms"),
    (1.0, "s"),
    (60.0, "min"),
    (3600.0, "h"),
)
_TIME_STEPS: Final = (
    *(
        step * power
        for power in (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1)
        for step in (1, 2, 5)
    ),
    *(1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 21600, 43200),
)
_NS_PER_S: Final = 1e9


@dataclass(frozen=True, slots=True)
class Tick:
    """A value with a name."""

    at: float
    """Where it is, in per cent of the axis."""
    label: str


@dataclass(frozen=True, slots=True)
class Scale:
    """An axis."""

    low: float
    high: float
    ticks: Sequence[Tick]
    logarithmic: bool = False

    def place(self, value: float) -> float:
        """Return where a value is, in per cent of the axis; one beyond it at its end."""
        return _place(value, self.low, self.high, logarithmic=self.logarithmic)


def _place(value: float, low: float, high: float, *, logarithmic: bool) -> float:
    if logarithmic:
        value, low, high = (math.log10(max(item, low)) for item in (value, low, high))
    return 100 * min(1.0, max(0.0, (value - low) / (high - low)))


def count_scale(most: float) -> Scale:
    """Return an axis from 0 for numbers, to at least 1."""
    step = _nice(max(most, 1) / (_TICKS - 2))
    high = step * max(1, math.ceil(max(most, 1) / step - 1e-9))
    return Scale(0, high, _linear(high, step, lambda value: f"{value:,.10g}"))


def time_scale(seconds: float) -> Scale:
    """Return an axis for the time since a beginning."""
    high = seconds if seconds > 0 else 1.0
    step = next(
        (step for step in _TIME_STEPS if high / step <= _TICKS),
        86_400.0 * max(1, math.ceil(high / 86_400 / _TICKS)),
    )
    unit = _unit(step, high)
    return Scale(0, high, _linear(high, step, lambda value: round_time(value, unit)))


def latency_scale(nanoseconds: Sequence[float]) -> Scale:
    """Return an axis for latencies: from 0, or logarithmic where they differ too much for that."""
    seconds = [value / _NS_PER_S for value in nanoseconds if value > 0]
    most, least = max(seconds, default=1e-3), min(seconds, default=1e-3)
    if most / least < _LOGARITHMIC_FROM:
        step = next((step for step in _TIME_STEPS if most / step <= _TICKS - 1), most)
        high = step * max(1, math.ceil(most / step - 1e-9))
        unit = _unit(step, high)
        ticks = _linear(high, step, lambda value: round_time(value, unit))
        return Scale(0, high * _NS_PER_S, ticks)
    low, high = _below(least), _above(most)
    decades = math.log10(high / low)
    named = [
        factor * 10.0**power
        for power in range(
            math.floor(math.log10(low)),
            math.ceil(math.log10(high)) + 1,
            math.ceil(decades / _MOST_DECADES),
        )
        for factor in ((1, 2, 5) if decades <= _FEW_DECADES else (1,))
    ]
    ticks = [
        Tick(_place(value, low, high, logarithmic=True), round_time(value, min(value, 1.0)))
        for value in named
        if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)
    ]
    return Scale(low * _NS_PER_S, high * _NS_PER_S, ticks, logarithmic=True)


def percentile_scale(nines: int) -> Scale:
    """Return an axis on which each nine more of a percentile takes as much room: 90, 99, 99.9."""
    names = ["0", "50", *(_nines(count) for count in range(1, nines + 1))]
    shares = [0.0, 0.5, *(1 - 10.0**-count for count in range(1, nines + 1))]
    high = 10.0**nines
    ticks = [
        Tick(_place(1 / (1 - share), 1, high, logarithmic=True), f"p{name}")
        for name, share in zip(names, shares, strict=True)
    ]
    return Scale(1, high, ticks, logarithmic=True)


def round_time(seconds: float, one: float) -> str:
    """Return a round time in the largest unit that is not more than this."""
    size, unit = max((item for item in _TIMES if item[0] <= one * (1 + 1e-9)), default=_TIMES[0])
    return f"{seconds / size:g} {unit}" if seconds else f"0 {unit}"


def _nines(count: int) -> str:
    return {1: "90", 2: "99"}.get(count, f"99.{'9' * (count - 2)}")


def _linear(high: float, step: float, label: Callable[[float], str]) -> Sequence[Tick]:
    count = math.floor(high / step + 1e-9)
    return [Tick(100 * index * step / high, label(index * step)) for index in range(count + 1)]


def _unit(step: float, high: float) -> float:
    """Return what the unit of an axis is at most: it has 0.5, 1, 1.5 ms, and 30, 60, 90 s."""
    return step if step >= 1 else min(high, 1.0)


def _nice(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least))
    return next(power * step for step in (1, 2, 5, 10) if power * step >= least * (1 - 1e-9))


def _above(value: float) -> float:
    return _nice(value)


def _below(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return max(power * step for step in (1, 2, 5) if power * step <= value * (1 + 1e-9))
