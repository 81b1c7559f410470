"""How far something is, on stderr."""

import time
from types import TracebackType
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

_SECONDS_BETWEEN_LINES = 5


class Progress:
    """A progress bar; where there is no terminal, a line now and then."""

    def __init__(self, done: str, things: str) -> None:
        """Make it.

        Args:
            done: What happens to the things, such as "imported".
            things: What is counted, such as "bills".
        """
        self._done = done
        self._things = things
        console = Console(stderr=True)
        self._bar = Bar(
            TextColumn(f"{things} {done}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None)
        self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, done: int, total: int) -> None:
        """Tell that so many of all are done."""
        self._bar.update(self._task, completed=done, total=total)
        if self._bar.disable and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _SECONDS_BETWEEN_LINES
            click.echo(f"{done:,} of {total:,} {self._things} {self._done}", err=True)
