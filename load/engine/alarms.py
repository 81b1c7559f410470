"""An alarm clock. Moments are nanoseconds of the monotonic clock."""

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import Final, Protocol

_SECOND: Final = 1_000_000_000
_ABSOLUTE: Final = 1
"""`TFD_TIMER_ABSTIME`"""


class Alarm(Protocol):
    """Rings once, at the moment that it was last set to."""

    def set(self, moment: int) -> None:
        """Ring then, and not when it was set to before."""

    def close(self) -> None:
        """Never ring again."""


def alarm_of(ring: Callable[[], None]) -> Alarm:
    """Return an alarm that calls this in the running event loop: as exact a one as there is."""
    return _TimerFile(ring) if sys.platform == "linux" else _LoopTimer(ring)


class _LoopTimer:
    """Exact to a millisecond; it may ring half of one early."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def set(self, moment: int) -> None:
        self.close()
        left = (moment - time.monotonic_ns()) / _SECOND
        self._timer = asyncio.get_running_loop().call_later(left, self._ring)

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()


class _Moment(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    """`struct itimerspec`."""

    _fields_ = (("interval", _Moment), ("value", _Moment))


class _TimerFile:
    """Exact to some ten microseconds: Linux's timerfd, which Python has from 3.13 on.

    With the timers of event loops, a thousand calls per second and more would be begun in bursts,
    one in each millisecond, and wait for each other.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._file = self._libc.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._setting = _Setting()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._file, self._hear)

    def set(self, moment: int) -> None:
        # 0 would be never.
        seconds, nanoseconds = divmod(max(moment, 1), _SECOND)
        self._setting.value.seconds = seconds
        self._setting.value.nanoseconds = nanoseconds
        setting = ctypes.byref(self._setting)
        if self._libc.timerfd_settime(self._file, _ABSOLUTE, setting, None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def close(self) -> None:
        self._loop.remove_reader(self._file)
        os.close(self._file)

    def _hear(self) -> None:
        try:
            os.read(self._file, 8)
        except BlockingIOError:
            # It was set again before this was called.
            return
        self._ring()
