"""How a run goes, in a line on the terminal; nothing where there is none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

if TYPE_CHECKING:
    from load.recording import Progress

_MILLISECOND = 1_000_000


@contextmanager
def progress_line() -> Iterator[Callable[["Progress"], None] | None]:
    """Lend what shows how the run goes, in a line on stderr that is gone in the end.

    None, where there is no terminal.
    """
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with Live(console=console, transient=True, auto_refresh=False) as live:
        yield lambda progress: live.update(
            Text(line(progress), no_wrap=True, overflow="ellipsis"), refresh=True
        )


def line(progress: "Progress") -> str:
    """Return how a run goes, in a line."""
    calls = f"{progress.done:,}" + (f" of {progress.total:,}" if progress.total else "") + " calls"
    time = f"{progress.seconds:.0f}" + (f" of {progress.duration:g}" if progress.duration else "")
    return "  ".join(
        [
            calls,
            f"{time} s",
            f"{progress.rate:,.0f}/s",
            f"p95 {progress.p95 / _MILLISECOND:.3g} ms",
            f"{progress.errors:,} failed",
        ]
    )
