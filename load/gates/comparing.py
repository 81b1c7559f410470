"""What is compared between two servers, or with a stored report, and how it is said."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from load.errors import ConfigError
from load.gates.figures import Figures
from load.report import wording
from load.report.model import GateResult

_LEAST_ERRORS: Final = 0.001
"""By how much the share of failed calls must have grown to count: a tenth of a per cent of all."""
_SHARE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(%?)")

Measured = Mapping[str, float]
"""What a run measured, by the name of the measure."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure that may get worse."""

    name: str
    read: Callable[[Figures], float | None]
    """None: it cannot be told."""
    say: Callable[[float], str]
    sign: int = 1
    """1: more is worse; -1: less is."""
    is_ratio: bool = True
    """Whether it is compared by the ratio; else by the difference, as it may be 0."""

    def worsening(self, figure: float, reference: float) -> float:
        """Return how much worse a figure is; less than 0: it is better.

        That is a part of the reference, or of what isn't a ratio the difference.
        """
        change = figure / reference - 1 if self.is_ratio else figure - reference
        return self.sign * change

    def limit(self, max_regression: float) -> float:
        """Return how much worse it may be, as `worsening` tells it.

        Args:
            max_regression: What is allowed for ratios.
        """
        return max_regression if self.is_ratio else _LEAST_ERRORS

    def amount(self, worsening: float) -> str:
        """Return a worsening as `1.2 %`, or `0.1 points`."""
        # Not as a share of all: 120 % is possible, and 100 % nothing special.
        return f"{wording.number(100 * worsening)} {'%' if self.is_ratio else 'points'}"


def _percentile(percentage: int) -> Measure:
    return Measure(
        f"p{percentage}",
        lambda figures: figures.service.percentile(Fraction(percentage)),
        wording.duration,
    )


RATIOS: Final[Sequence[Measure]] = (
    *(_percentile(percentage) for percentage in (50, 95, 99)),
    Measure(
        "rps",
        lambda figures: figures.rps,
        lambda rate: f"{wording.number(rate)} calls/s",
        sign=-1,
    ),
)
ERROR_RATE: Final = Measure(
    "error_rate",
    lambda figures: None if figures.error_rate is None else float(figures.error_rate),
    wording.percent,
    is_ratio=False,
)
"""A server that fails quickly would look fast without it."""
MEASURES: Final[Sequence[Measure]] = (*RATIOS, ERROR_RATE)


def measured(figures: Figures) -> Measured | None:
    """Return all measures; None: they can't be told, since no call was OK."""
    values = {measure.name: measure.read(figures) for measure in MEASURES}
    known = {name: value for name, value in values.items() if value is not None}
    return known if len(known) == len(values) else None


def parse_max_regression(text: str) -> float:
    """Return the part of one that is allowed, of `5%` or `0.05`.

    Raises:
        ConfigError: It is no share, or all.
    """
    share = _SHARE.fullmatch(text.strip())
    value = float(share[1]) / (100 if share[2] else 1) if share else 0
    if not 0 < value < 1:
        raise ConfigError(f"max-regression: {text!r} is no share such as 5% or 0.05")
    return value


def difference(measure: Measure, worsening: float, limit: float | None = None) -> str:
    """Return how much worse a figure is, beside what is allowed; None: that isn't said."""
    apart = "no difference"
    if not math.isclose(worsening, 0, abs_tol=1e-6):
        direction = "worse" if worsening > 0 else "better"
        apart = f"{measure.amount(abs(worsening))} {direction}"
    return apart if limit is None else f"{apart}, {measure.amount(limit)} allowed"


def verdict_of_chance(p_value: float, level: float) -> str:
    """Return whether a difference is by chance, in words that go on from it."""
    proven = "not by chance" if p_value <= level else "which may be chance"
    return f", {proven} (p = {wording.number(p_value)})"


def result(measure: Measure, reference: str, outcome: str, figure: str, gap: str) -> GateResult:
    """Return what a comparison found about a figure."""
    gate = f"{measure.name} against {reference}"
    return GateResult(gate=gate, outcome=outcome, figure=figure, gap=gap, regression=True)
