"""The processes that serve, and the one that keeps them running."""

from server.workers.health import workers_health
from server.workers.metrics import WorkersCollector
from server.workers.port import held_port
from server.workers.process import Ready, WorkerCommand
from server.workers.slot import WorkerCannotStart
from server.workers.supervisor import Supervisor

__all__ = [
    "Ready",
    "Supervisor",
    "WorkerCannotStart",
    "WorkerCommand",
    "WorkersCollector",
    "held_port",
    "workers_health",
]
