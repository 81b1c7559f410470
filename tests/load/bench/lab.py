"""What every scenario measures with."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import click

from tests.load.bench.machine import Cores
from tests.load.bench.places import FOLDER
from tests.load.world import calls
from tests.load.world.merchants import World, open_world


@dataclass(frozen=True, slots=True)
class Effort:
    """How long is measured: fully, or just to see that all works."""

    rounds: int
    """How often figure and floor are taken in turn."""
    share: float
    """Of every time and number."""

    def seconds(self, full: float) -> float:
        """Return how long to do what fully takes so many seconds."""
        return max(full * self.share, 1)

    def count(self, full: int) -> int:
        """Return how many to make where fully it is so many."""
        return max(int(full * self.share), 1)


FULL = Effort(rounds=5, share=1)
QUICK = Effort(rounds=2, share=0.1)


class Lab:
    """The cores, the effort and the merchants, which are made when first asked for."""

    def __init__(self, cores: Cores, effort: Effort, closing: ExitStack) -> None:
        self.cores = cores
        self.effort = effort
        self._closing = closing
        self._world: World | None = None

    @property
    def world(self) -> World:
        """The merchants of the scenarios."""
        if self._world is None:
            say("making the merchants")
            opened: AbstractContextManager[World] = open_world(
                FOLDER / "world", self.cores, [calls.RECORDED_MERCHANT, *calls.MERCHANTS]
            )
            self._world = self._closing.enter_context(opened)
        return self._world


@contextmanager
def open_lab(effort: Effort) -> Iterator[Lab]:
    """Lend a lab; raises NotMeasured where nothing can be measured."""
    cores = Cores.choose()
    cores.stay_with_clients()
    with ExitStack() as closing:
        yield Lab(cores, effort, closing)


def say(text: str) -> None:
    """Tell of the progress."""
    click.echo(f"  {text}", err=True)
