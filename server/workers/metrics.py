"""The metrics of all workers as one set."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Final

import psutil
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from server.workers.fetch import fetch
from server.workers.slot import WorkerStatus

_LABEL: Final = "worker"
_PATIENCE: Final = 2.0


class WorkersCollector(Collector):
    """Collects the metrics of every worker, each series with the worker's number as a label.

    Nothing is added up: a worker that was restarted counts from 0 again, and because its series are
    its own, that is the reset of a counter, which `rate()` and `increase()` of Prometheus know.
    Sums of workers would fall instead, by what the dead one had counted. A worker that does not
    answer in time is left out.
    """

    def __init__(self, workers: Callable[[], Sequence[WorkerStatus]]) -> None:
        """Collect from the workers that this returns at the time."""
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        """Yield what the supervisor knows of its workers, and what they know of themselves."""
        workers = self._workers()
        yield from _of_supervisor(workers)
        yield from _merged(fetch(workers, "/metrics", patience=_PATIENCE))


def _of_supervisor(workers: Sequence[WorkerStatus]) -> Iterator[Metric]:
    up = GaugeMetricFamily("patron_worker_up", "Whether the worker is ready.", labels=[_LABEL])
    restarts = CounterMetricFamily(
        "patron_worker_restarts",
        "How often a worker that ended by itself was replaced.",
        labels=[_LABEL],
    )
    memory = GaugeMetricFamily(
        "patron_worker_resident_memory_bytes", "Resident memory of the worker.", labels=[_LABEL]
    )
    for worker in workers:
        label = [str(worker.number)]
        up.add_metric(label, float(worker.ready))
        restarts.add_metric(label, worker.restarts)
        if worker.pid is not None:
            with suppress(psutil.NoSuchProcess):
                memory.add_metric(label, psutil.Process(worker.pid).memory_info().rss)
    yield from (up, restarts, memory)


def _merged(texts: dict[int, str]) -> Iterator[Metric]:
    families: dict[str, Metric] = {}
    for number, text in texts.items():
        for family in text_string_to_metric_families(text):
            merged = families.setdefault(
                family.name, Metric(family.name, family.documentation, family.type)
            )
            merged.samples += (
                sample._replace(labels={**sample.labels, _LABEL: str(number)})
                for sample in family.samples
            )
    yield from families.values()
