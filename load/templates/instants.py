"""Instants, and the layouts by which Go writes them.

Source: the package time of Go.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from load.templates.faults import Fault

_SECOND: Final = 1_000_000_000
RFC_3339_NANO: Final = "2006-01-02T15:04:05.999999999Z07:00"
_STRING: Final = "2006-01-02 15:04:05.999999999 -0700 MST"


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment in a time zone."""

    nanoseconds: int
    """Since the epoch."""
    zone: tzinfo | None = None
    """None: that of this machine."""

    def __str__(self) -> str:
        return self.format(_STRING)

    @property
    def civil(self) -> datetime:
        """Date and time of day in the zone, without fractions of a second."""
        moment = datetime.fromtimestamp(self.nanoseconds // _SECOND, UTC)
        return moment.astimezone(self.zone)

    @property
    def fraction(self) -> int:
        """The nanoseconds since the last whole second."""
        return self.nanoseconds % _SECOND

    def format(self, layout: str) -> str:
        """Return it in a layout of Go: the way it would write 3:04:05.6 pm, 2 January 2006."""
        civil = self.civil

        def replacement(match: re.Match[str]) -> str:
            word = match[0]
            if word[0] in ".,":
                return _fraction(word, self.fraction)
            if word[0] in "-Z":
                return _offset(word, civil)
            return _WORDS[word](civil)

        return _LAYOUT.sub(replacement, layout)


def now() -> Instant:
    """Return the present moment, in the zone of this machine."""
    return Instant(time.time_ns())


def zone_called(name: str) -> tzinfo | None:
    """Return the zone of a name; `Local` is that of this machine: None.

    Raises:
        Fault: There is none.
    """
    if name == "Local":
        return None
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        raise Fault(f"there is no time zone {name!r}") from None


_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


def _hour(civil: datetime) -> int:
    return civil.hour % 12 or 12


def _day_of_year(civil: datetime) -> int:
    return civil.timetuple().tm_yday


# Names are in English wherever this runs.
_WORDS: Final[dict[str, Callable[[datetime], str]]] = {
    "2006": lambda civil: f"{civil.year:04}",
    "_2006": lambda civil: f"_{civil.year:04}",
    "06": lambda civil: f"{civil.year % 100:02}",
    "January": lambda civil: _MONTHS[civil.month - 1],
    "Jan": lambda civil: _MONTHS[civil.month - 1][:3],
    "01": lambda civil: f"{civil.month:02}",
    "1": lambda civil: f"{civil.month}",
    "02": lambda civil: f"{civil.day:02}",
    "_2": lambda civil: f"{civil.day:2}",
    "2": lambda civil: f"{civil.day}",
    "002": lambda civil: f"{_day_of_year(civil):03}",
    "__2": lambda civil: f"{_day_of_year(civil):3}",
    "Monday": lambda civil: _DAYS[civil.weekday()],
    "Mon": lambda civil: _DAYS[civil.weekday()][:3],
    "15": lambda civil: f"{civil.hour:02}",
    "03": lambda civil: f"{_hour(civil):02}",
    "3": lambda civil: f"{_hour(civil)}",
    "04": lambda civil: f"{civil.minute:02}",
    "4": lambda civil: f"{civil.minute}",
    "05": lambda civil: f"{civil.second:02}",
    "5": lambda civil: f"{civil.second}",
    "PM": lambda civil: "AM" if civil.hour < 12 else "PM",  # noqa: PLR2004 - Noon.
    "pm": lambda civil: "am" if civil.hour < 12 else "pm",  # noqa: PLR2004 - Noon.
    "MST": lambda civil: civil.tzname() or "",
}
_LAYOUT: Final = re.compile(
    r"January|Jan(?![a-z])|Monday|Mon(?![a-z])|MST|002|0[1-6]|15|_2006|__2|_2|2006|[1-5]|PM|pm"
    r"|-07:00:00|-070000|-07:00|-0700|-07|Z07:00:00|Z070000|Z07:00|Z0700|Z07"
    r"|[.,](?:0+|9+)(?![0-9])"
)


def _fraction(word: str, nanoseconds: int) -> str:
    digits = f"{nanoseconds:09}"[: len(word) - 1].ljust(len(word) - 1, "0")
    if word[1] == "0":
        return word[0] + digits
    digits = digits.rstrip("0")
    return word[0] + digits if digits else ""


def _offset(word: str, civil: datetime) -> str:
    offset = civil.utcoffset()
    seconds = int(offset.total_seconds()) if offset else 0
    if word[0] == "Z" and not seconds:
        return "Z"
    sign = "-" if seconds < 0 else "+"
    hours, rest = divmod(abs(seconds), 3600)
    parts = [f"{hours:02}", f"{rest // 60:02}", f"{rest % 60:02}"]
    wanted = len(re.findall(r"\d\d", word))
    return sign + (":" if ":" in word else "").join(parts[:wanted])
