"""The rollout file: how a feature is to reach all merchants."""

import enum
import math
import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import yaml
from msgspec import Meta


class PlanError(Exception):
    """A rollout file is not there or makes no sense; the message names the key."""


class Query(enum.StrEnum):
    """What the controller asks Prometheus; the text of each is in the rollout file."""

    GATED_ENDED = "gated_ended"
    """Calls of the gated methods, by `grpc_code`."""
    GATED_SECONDS = "gated_seconds"
    """The same by duration: the cumulative buckets of a histogram, by `le`."""
    COMPARED_ENDED = "compared_ended"
    """Calls of the methods that both arms can make, by `arm` and `grpc_code`."""
    COMPARED_SECONDS = "compared_seconds"
    """The same by duration, by `arm` and `le`."""
    ERROR_MERCHANTS = "error_merchants"
    """How many merchants each unexpected error has reached, by `arm` and `kind`."""
    RATINGS = "ratings"
    """How often the feature was rated, by `rating`, 1 to 5."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One step of the rollout."""

    percent: int
    """The share of merchants that are let in, 1 to 100."""
    at_least: float
    """How long the phase lasts at least, in seconds."""


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a feature must keep to."""

    error_rate: float
    """The share of calls that may fail by the server's fault must stay below this."""
    quantile: float
    """Which quantile of the durations is bounded, such as 0.95 ..."""
    slow_seconds: float
    """... and by how many seconds."""
    max_ratio: float
    """How many times worse than the control the treatment may be."""
    new_error_merchants: int
    """From how many merchants on a new kind of unexpected error is critical."""
    rating_mean: float
    """The mean of the ratings must not be below this ..."""
    rating_count: int
    """... of at least so many ratings; fewer are not judged."""


@dataclass(frozen=True, slots=True)
class BurnWindow:
    """The error budget burns too fast when it does so over both spans."""

    burn: float
    """How many times as fast as the budget allows."""
    short: float
    """The span that says it still goes on, in seconds."""
    long: float
    """The span that says it matters, in seconds."""


@dataclass(frozen=True, slots=True)
class Breaker:
    """What rolls back at once."""

    look_every: float
    """Seconds between two looks."""
    least_errors: int
    """How many errors the short span must have at least."""
    windows: tuple[BurnWindow, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A rollout file, read and checked."""

    flag: str
    phases: tuple[Phase, ...]
    """With rising shares."""
    look_every: float
    """Seconds between two looks at the criteria."""
    confidence: float
    """How sure a verdict is, over all its looks together; such as 0.95."""
    criteria: Criteria
    breaker: Breaker
    queries: dict[Query, str]


WINDOW: Final = "$window"
"""What stands in a query for the span that is judged."""

_DURATION: Final = re.compile(
    r"(?=.)(?:(?P<h>\d+)h)?(?:(?P<m>\d+)m)?(?:(?P<s>\d+(?:\.\d+)?)s)?", re.ASCII
)
_PATH: Final = re.compile(r"(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?")
_FIELD: Final = re.compile(
    r"Object (?P<what>missing required|contains unknown) field `(?P<key>.+)`"
)


class _Seconds(float):
    """A duration such as `48h`, `1h30m`, `1.5s`, or a number of seconds."""

    __slots__ = ()


_Share = Annotated[float, Meta(gt=0, lt=1)]
_Count = Annotated[int, Meta(ge=1)]


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    """A mapping of the rollout file."""


class _Phase(_Part):
    percent: Annotated[int, Meta(ge=1, le=100)]
    at_least: _Seconds


class _Slow(_Part):
    quantile: _Share
    seconds: _Seconds


class _Rating(_Part):
    mean: Annotated[float, Meta(ge=1, le=5)]
    of_at_least: _Count


class _Criteria(_Part):
    error_rate: _Share
    slow: _Slow
    max_ratio: Annotated[float, Meta(gt=1, le=1000)]
    new_error_merchants: _Count
    rating: _Rating


class _Window(_Part):
    burn: Annotated[float, Meta(gt=0, le=1000)]
    short: _Seconds
    long: _Seconds


class _Breaker(_Part):
    look_every: _Seconds
    least_errors: _Count
    windows: Annotated[tuple[_Window, ...], Meta(min_length=1)]


class _File(_Part):
    flag: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.~-]{1,100}$")]
    phases: Annotated[tuple[_Phase, ...], Meta(min_length=1)]
    look_every: _Seconds
    confidence: Annotated[float, Meta(gt=0.5, lt=1)]
    criteria: _Criteria
    breaker: _Breaker
    queries: dict[str, str]


def load_plan(file: Path) -> Plan:
    """Return the plan of a rollout file.

    Raises:
        PlanError: It is not there, is no YAML, or a key is missing, unknown or makes no sense.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise PlanError(f"{file}: {error}") from error
    try:
        read = msgspec.convert(content, _File, dec_hook=_read_seconds)
    except msgspec.ValidationError as error:
        raise PlanError(f"{file}: {_locate(str(error))}") from error
    try:
        _check(read)
    except ValueError as error:
        raise PlanError(f"{file}: {error}") from error
    return _plan(read)


def _read_seconds(_kind: type, value: Any) -> _Seconds:  # noqa: ANN401 - it is whatever stands there.
    """Return a duration of the file; the error becomes msgspec's own, with the path."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value)):
        hours, minutes, seconds = (float(match[unit] or 0) for unit in "hms")
        value = hours * 3600 + minutes * 60 + seconds
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("Expected a duration such as `48h`, `15m`, `1h30m`, `1.5s` or seconds")  # noqa: TRY004
    if not 0 < value < math.inf:
        raise ValueError("Expected a duration over 0")
    return _Seconds(value)


def _locate(problem: str) -> str:
    """Put the key in front of a problem, as msgspec tells it."""
    match = _PATH.fullmatch(problem)
    path, what = (match["path"] or "", match["what"]) if match else ("", problem)
    if field := _FIELD.fullmatch(what):
        path = f"{path}.{field['key']}".removeprefix(".")
        what = "is missing" if field["what"].startswith("missing") else "is not known"
    return f"{path or 'the file'}: {what}"


def _check(file: _File) -> None:
    """Check what goes beyond a single value; the error names the key."""
    for at, (before, phase) in enumerate(pairwise(file.phases), start=1):
        if phase.percent <= before.percent:
            raise ValueError(f"phases[{at}].percent: must be over {before.percent}, the one before")
    for at, window in enumerate(file.breaker.windows):
        if window.short >= window.long:
            raise ValueError(f"breaker.windows[{at}].short: must be shorter than `long`")
    for key in file.queries:
        if key not in set(Query):
            raise ValueError(f"queries.{key}: is not known")
    for query in Query:
        if query not in file.queries:
            raise ValueError(f"queries.{query}: is missing")
        if WINDOW not in file.queries[query]:
            raise ValueError(f"queries.{query}: must ask for {WINDOW}")


def _plan(file: _File) -> Plan:
    criteria, breaker = file.criteria, file.breaker
    return Plan(
        flag=file.flag,
        phases=tuple(Phase(each.percent, float(each.at_least)) for each in file.phases),
        look_every=float(file.look_every),
        confidence=file.confidence,
        criteria=Criteria(
            error_rate=criteria.error_rate,
            quantile=criteria.slow.quantile,
            slow_seconds=float(criteria.slow.seconds),
            max_ratio=criteria.max_ratio,
            new_error_merchants=criteria.new_error_merchants,
            rating_mean=criteria.rating.mean,
            rating_count=criteria.rating.of_at_least,
        ),
        breaker=Breaker(
            look_every=float(breaker.look_every),
            least_errors=breaker.least_errors,
            windows=tuple(
                BurnWindow(each.burn, float(each.short), float(each.long))
                for each in breaker.windows
            ),
        ),
        queries={query: file.queries[query] for query in Query},
    )
