"""Metrics that cost nothing until they are asked for."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from server.metrics.histogram import Histogram

Read: TypeAlias = Callable[[], float | None]
"""Returns a number that a part keeps; called from another thread than the event loop's. None: it
has none now, and none is shown."""

Labels: TypeAlias = tuple[str, ...]
"""The values of a metric's labels."""

Series: TypeAlias = Read | Mapping[Labels, Read]
"""One number without labels, or several."""


class Readings(Collector):
    """Reads the numbers that the parts keep, whenever somebody asks for the metrics."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._families: list[Callable[[], Metric]] = []
        registry.register(self)

    def gauge(self, name: str, meaning: str, series: Series, labels: Sequence[str] = ()) -> None:
        """Show numbers that rise and fall."""
        self._show(GaugeMetricFamily, name, meaning, series, labels)

    def counter(self, name: str, meaning: str, series: Series, labels: Sequence[str] = ()) -> None:
        """Show numbers that only rise, under the name that ends in `_total`."""
        self._show(CounterMetricFamily, name.removesuffix("_total"), meaning, series, labels)

    def gauges(
        self,
        name: str,
        meaning: str,
        read: Callable[[], Mapping[Labels, float]],
        labels: Sequence[str],
    ) -> None:
        """Show numbers that rise and fall, of which there may be more each time."""
        self._show_all(GaugeMetricFamily, name, meaning, read, labels)

    def counters(
        self,
        name: str,
        meaning: str,
        read: Callable[[], Mapping[Labels, float]],
        labels: Sequence[str],
    ) -> None:
        """Show numbers that only rise, of which there may be more each time, as `counter` does."""
        self._show_all(CounterMetricFamily, name.removesuffix("_total"), meaning, read, labels)

    def histogram(self, name: str, meaning: str, bounds: Sequence[float]) -> Histogram:
        """Return a histogram that is shown; the event loop alone may observe."""
        histogram = Histogram(bounds)

        def read() -> Metric:
            family = HistogramMetricFamily(name, meaning)
            histogram.add_to(family)
            return family

        self._families.append(read)
        return histogram

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, as it is now."""
        for read in tuple(self._families):
            yield read()

    def _show(
        self,
        kind: type[GaugeMetricFamily | CounterMetricFamily],
        name: str,
        meaning: str,
        series: Series,
        labels: Sequence[str],
    ) -> None:
        reads = {(): series} if callable(series) else dict(series)

        def read() -> Mapping[Labels, float]:
            known = {values: number() for values, number in reads.items()}
            return {values: number for values, number in known.items() if number is not None}

        self._show_all(kind, name, meaning, read, labels)

    def _show_all(
        self,
        kind: type[GaugeMetricFamily | CounterMetricFamily],
        name: str,
        meaning: str,
        read: Callable[[], Mapping[Labels, float]],
        labels: Sequence[str],
    ) -> None:
        def family() -> Metric:
            shown = kind(name, meaning, labels=labels)
            for values, number in read().items():
                shown.add_metric(values, number)
            return shown

        self._families.append(family)
