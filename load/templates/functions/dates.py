"""Times. Source: the functions of sprig, and the methods of Go's `time.Time`."""

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Final

from load.config.durations import parse_duration
from load.errors import ConfigError
from load.templates.faults import Fault
from load.templates.instants import Instant, now, zone_called
from load.templates.values import Value, type_of

_SECOND: Final = 1_000_000_000


def _date(layout: str, value: Value) -> str:
    return _instant(value).format(layout)


def _date_in_zone(layout: str, value: Value, zone: str) -> str:
    return Instant(_instant(value).nanoseconds, zone_called(zone)).format(layout)


def _html_date(value: Value) -> str:
    return _date("2006-01-02", value)


def _html_date_in_zone(value: Value, zone: str) -> str:
    return _date_in_zone("2006-01-02", value, zone)


def _date_modify(duration: str, instant: Instant) -> Instant:
    try:
        change = parse_duration(duration)
    except ConfigError as error:
        raise Fault(str(error)) from None
    return Instant(instant.nanoseconds + change, instant.zone)


def _unix_epoch(instant: Instant) -> str:
    return str(_unix(instant))


def _instant(value: Value) -> Instant:
    """Return the time that is meant; an integer is seconds since the epoch."""
    if isinstance(value, Instant):
        return Instant(value.nanoseconds)
    if type(value) is int:
        return Instant(value * _SECOND)
    raise Fault(f"it takes a time or seconds since the epoch here, not {type_of(value)}")


def _unix(instant: Instant) -> int:
    return instant.nanoseconds // _SECOND


def _format(instant: Instant, layout: str) -> str:
    return instant.format(layout)


def _utc(instant: Instant) -> Instant:
    return Instant(instant.nanoseconds, UTC)


FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {
    "now": now,
    "date": _date,
    "dateInZone": _date_in_zone,
    "date_in_zone": _date_in_zone,
    "htmlDate": _html_date,
    "htmlDateInZone": _html_date_in_zone,
    "dateModify": _date_modify,
    "date_modify": _date_modify,
    "mustDateModify": _date_modify,
    "must_date_modify": _date_modify,
    "unixEpoch": _unix_epoch,
}


def _unix_milli(instant: Instant) -> int:
    return instant.nanoseconds // 1_000_000


def _unix_micro(instant: Instant) -> int:
    return instant.nanoseconds // 1000


def _unix_nano(instant: Instant) -> int:
    return instant.nanoseconds


def _part(name: str) -> Callable[[Instant], int]:
    def part(instant: Instant) -> int:
        return int(getattr(instant.civil, name))

    return part


def _nanosecond(instant: Instant) -> int:
    return instant.fraction


METHODS: Final[Mapping[str, Callable[..., Value]]] = {
    "Unix": _unix,
    "UnixMilli": _unix_milli,
    "UnixMicro": _unix_micro,
    "UnixNano": _unix_nano,
    "Format": _format,
    "UTC": _utc,
    "Year": _part("year"),
    "Day": _part("day"),
    "Hour": _part("hour"),
    "Minute": _part("minute"),
    "Second": _part("second"),
    "Nanosecond": _nanosecond,
}
