"""How the workers are, together."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from server.workers.fetch import fetch
from server.workers.slot import WorkerStatus

_DRAINING: Final = "draining"
_PATIENCE: Final = 3.0
"""Longer than a worker waits for the parts behind it."""


@dataclass(frozen=True, slots=True)
class WorkersReport:
    """How the workers are."""

    workers: Mapping[str, Mapping[str, Any]]
    """By its number, what each worker says of itself at its own `/healthz`."""

    @property
    def status(self) -> str:
        """How they are in a word."""
        if self.well:
            return "ok"
        draining = any(worker["status"] == _DRAINING for worker in self.workers.values())
        return _DRAINING if draining else "failing"

    @property
    def well(self) -> bool:
        """Whether at least one of them can serve."""
        return any(worker["status"] == "ok" for worker in self.workers.values())

    def details(self) -> Mapping[str, object]:
        """Return what is told beside the status."""
        return {"workers": self.workers}


def workers_health(workers: Sequence[WorkerStatus]) -> WorkersReport:
    """Ask every worker that is ready how it is."""
    answers = fetch(workers, "/healthz", patience=_PATIENCE)
    return WorkersReport(
        {str(worker.number): _said(worker, answers.get(worker.number)) for worker in workers}
    )


def _said(worker: WorkerStatus, answer: str | None) -> Mapping[str, Any]:
    if worker.draining:
        return {"status": _DRAINING}
    if not worker.ready:
        return {"status": "not ready"}
    if answer is None:
        return {"status": "not answering"}
    said: dict[str, Any] = json.loads(answer)
    return said
