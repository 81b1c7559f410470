"""The floor of a read: asyncpg making the same round trips, from a pool of the same size."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from tests.load.bench.machine import Cores
from tests.load.bench.recorded import Sent
from tests.load.world.errors import NotMeasured
from tests.load.world.places import REPOSITORY

_SPARE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class AsyncpgFloor:
    """A transaction, made again and again by tasks that share a pool."""

    url: str
    sent: Sequence[Sent]
    """The round trips, as the service was seen to make them."""
    pool_size: int
    concurrency: int
    seconds: float

    def run(self, cores: Cores) -> float:
        """Return how many transactions a second a process on the server's core makes.

        Raises:
            NotMeasured: The process failed.
        """
        command = cores.for_server([sys.executable, "-m", "tests.load.floors.asyncpg_transactions"])
        try:
            outcome = subprocess.run(
                command,
                cwd=REPOSITORY,
                input=msgspec.json.encode(self),
                check=True,
                capture_output=True,
                timeout=self.seconds + _SPARE_SECONDS,
            )
        except subprocess.CalledProcessError as error:
            raise NotMeasured(f"the floor in asyncpg failed:\n{error.stderr.decode()}") from error
        return float(outcome.stdout)
