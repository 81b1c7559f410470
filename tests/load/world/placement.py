"""Where processes run."""

from collections.abc import Sequence
from typing import Protocol

import psutil


class Placement(Protocol):
    """Says which process runs where."""

    def for_server(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs a server, with whatever it starts, in its place."""

    def check(
        self, *, servers: Sequence[psutil.Process], databases: Sequence[psutil.Process]
    ) -> None:
        """Check that processes are in their places.

        Raises:
            NotMeasured: One of them is not.
        """


class Anywhere:
    """No process has a place of its own."""

    def for_server(self, command: Sequence[str]) -> list[str]:
        """Return the command as it is."""
        return list(command)

    def check(
        self, *, servers: Sequence[psutil.Process], databases: Sequence[psutil.Process]
    ) -> None:
        """Check nothing."""
