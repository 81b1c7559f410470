"""What gates look at in a report: of all calls together, or of one call of a scenario."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from load.errors import ConfigError
from load.report.latencies import of_clock
from load.report.model import CallReport, Clock, Report


@dataclass(frozen=True, slots=True)
class Latencies:
    """What one clock says. Durations are nanoseconds; None: it cannot be told."""

    average: int | None
    fastest: int | None
    slowest: int | None
    known: Mapping[Fraction, int]
    """Percentiles that the report has."""
    clock: Clock | None
    """What has all others; None: nothing."""

    def percentile(self, percentage: Fraction) -> int | None:
        """Return a percentile: the one that the report shows, where it shows it."""
        if percentage in self.known:
            return self.known[percentage]
        return of_clock(self.clock).at(float(percentage / 100)) if self.clock else None


@dataclass(frozen=True, slots=True)
class Figures:
    """What a report says."""

    count: int
    errors: int
    """How many of them did not end as OK, without those that were cut off."""
    cut_off: int
    """How many the run itself has ended: nobody knows how they would have."""
    rps: float
    service: Latencies
    response: Latencies | None
    """None: ghz, which has one clock, wrote the report."""
    late: int | None = None
    dropped: int | None = None

    @property
    def completed(self) -> int:
        """How many calls were not cut off."""
        return self.count - self.cut_off

    @property
    def error_rate(self) -> Fraction | None:
        """The share of completed calls that failed; None: there are none."""
        return Fraction(self.errors, self.completed) if self.completed else None


def of_report(report: Report) -> Figures:
    """Return the figures of all calls; those that ghz has too are ghz's."""
    extra = report.patron
    shown = report.latency_distribution or ()
    service = Latencies(
        average=report.average if report.count else None,
        fastest=report.fastest if shown else None,
        slowest=report.slowest if shown else None,
        known={_percentage(latency.percentage): latency.latency for latency in shown},
        clock=extra.service if extra and shown else None,
    )
    cut_off = sum(call.cut_off for call in extra.calls) if extra else 0
    return Figures(
        count=report.count,
        errors=report.count - report.status_code_distribution.get("OK", 0) - cut_off,
        cut_off=cut_off,
        rps=report.rps,
        service=service,
        response=_latencies(extra.response) if extra else None,
        late=extra.late if extra else None,
        dropped=extra.dropped if extra else None,
    )


def of_call(report: Report, name: str) -> Figures:
    """Return the figures of one of the calls.

    Args:
        report: The report; one by ghz has one call, which it names in its options.
        name: Its full name, with a dot or a slash before the method, or the method's alone.

    Raises:
        ConfigError: It is none of them, or several.
    """
    calls: Sequence[CallReport] = report.patron.calls if report.patron else ()
    full_name = which_call(name, [call.call for call in calls])
    [call] = [call for call in calls if call.call == full_name]
    return Figures(
        count=call.count,
        errors=call.errors - call.cut_off,
        cut_off=call.cut_off,
        rps=call.rps,
        service=_latencies(call.service),
        response=_latencies(call.response),
    )


def which_call(name: str, calls: Sequence[str]) -> str:
    """Return the full name of a call.

    Args:
        name: As a person says it.
        calls: The full names of all that there are.

    Raises:
        ConfigError: It is none of them, or several; the text lists them.
    """
    wanted = name.replace("/", ".")
    found = [call for call in calls if wanted in (call, call.rpartition(".")[2])]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"{name!r} stands for several calls: {', '.join(found)}")
    listed = ", ".join(calls) or "none by name"
    raise ConfigError(f"there is no call {name!r}; there are: {listed}")


def _latencies(clock: Clock) -> Latencies:
    if not clock.count:
        return Latencies(None, None, None, {}, None)
    return Latencies(
        average=clock.average,
        fastest=clock.fastest,
        slowest=clock.slowest,
        known={Fraction(name[1:]): latency for name, latency in clock.percentiles.items()},
        clock=clock,
    )


def _percentage(value: float) -> Fraction:
    # By its text: 99.9 is meant, and not the nearest binary number.
    return Fraction(str(value))
