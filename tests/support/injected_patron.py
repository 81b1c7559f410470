"""`patron`, run as `python -m`, whose workers fail and dawdle as a file tells them to.

Patron itself knows nothing of it: the supervisor is given this program for its workers, and a
worker's chain one interceptor more.
"""

import asyncio
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from domain.errors import Reason, UnavailableError
from server.call import find_arm
from server.cli import main
from server.interceptors.interceptor import Call, Context, Interceptor, Payload
from server.interceptors.method import Method
from server.interceptors.response_cache import ResponseCache
from server.settings import Settings
from server.workers import WorkerCommand

FILE_VARIABLE: Final = "INJECTIONS_FILE"
"""The environment variable that names the file."""

UNAVAILABLE: Final = "UNAVAILABLE"
"""The error of this name is an expected one, though the server's fault: it has no kind."""


class Injection(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong with some calls."""

    share: float = 1.0
    """Which share of the calls that it may meet."""
    arms: tuple[str, ...] = ("treatment", "control")
    gated: bool | None = None
    """Whether it meets the methods that a flag gates, or the others; None: all."""
    delay: float = 0.0
    """By how many seconds they are late."""
    error: str | None = None
    """How they fail: by an unexpected error of this class; None: they don't."""


class Injections:
    """The file, for whoever says what goes wrong."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def set(self, *injections: Injection) -> None:
        """Have this go wrong, and nothing else, from the next call of every worker on."""
        new = self._file.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(injections))
        new.replace(self._file)


class _Injected(Interceptor):
    """Lets calls go wrong."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read = -1
        self._injections: tuple[Injection, ...] = ()
        self._met = 0

    def wrap(self, method: Method, call: Call) -> Call:
        """Have calls of the method go wrong."""
        gated = bool(method.policy.feature)

        async def injected(request: Payload, context: Context) -> Payload:
            for injection in self._now():
                if injection.gated in {None, gated} and self._meets(injection):
                    await asyncio.sleep(injection.delay)
                    if injection.error is not None:
                        raise _error(injection.error)
            return await call(request, context)

        return injected

    def _now(self) -> tuple[Injection, ...]:
        # The inode: files that follow each other within a tick of the clock differ in it.
        status = self._file.stat()
        version = hash((status.st_mtime_ns, status.st_ino))
        if version != self._read:
            self._read = version
            content = self._file.read_bytes()
            self._injections = msgspec.json.decode(content, type=tuple[Injection, ...])
        return self._injections

    def _meets(self, injection: Injection) -> bool:
        arm = find_arm()
        if arm is None or ("treatment" if arm.treatment else "control") not in injection.arms:
            return False
        # Evenly, not by chance: a test of few seconds has its errors when it needs them.
        self._met += 1
        return int(self._met * injection.share) > int((self._met - 1) * injection.share)


def _error(name: str) -> Exception:
    if name == UNAVAILABLE:
        return UnavailableError(Reason.DEPENDENCY_UNAVAILABLE, "a test wants it so")
    kind: type[Exception] = type(name, (Exception,), {})
    return kind("a test wants it so")


def _main(arguments: Sequence[str]) -> None:
    if arguments[0] == "serve":
        _start_workers_by_this_program()
    if arguments[0] == "worker":
        _add_to_the_chain(_Injected(Path(os.environ[FILE_VARIABLE])))
    main(arguments, prog_name="patron")


def _start_workers_by_this_program() -> None:
    # The command has the name of its module, and hides it.
    module: Any = sys.modules["server.cli.serve"]
    usual: Callable[[Settings, int], WorkerCommand] = module._worker_command

    def command(settings: Settings, port: int) -> WorkerCommand:
        program = (sys.executable, "-m", "tests.support.injected_patron", "worker")
        return replace(usual(settings, port), arguments=program)

    module._worker_command = command


def _add_to_the_chain(injected: Interceptor) -> None:
    root: Any = importlib.import_module("server.main")
    usual = root.default_interceptors

    def chain(**parts: Any) -> list[Interceptor]:
        interceptors = list[Interceptor](usual(**parts))
        # Within the gate, which tells the arm; outside the cache, which would answer instead.
        [place] = [n for n, each in enumerate(interceptors) if isinstance(each, ResponseCache)]
        interceptors.insert(place, injected)
        return interceptors

    root.default_interceptors = chain


if __name__ == "__main__":
    _main(sys.argv[1:])
