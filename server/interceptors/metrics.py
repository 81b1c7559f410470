"""The standard metrics of a gRPC server."""

import time
from collections.abc import Iterator
from typing import ClassVar, Final

import grpc
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from server.interceptors.interceptor import Call, Context, Interceptor, Payload
from server.interceptors.method import Method
from server.interceptors.outcome import SERVER_FAULTS, code_after
from server.metrics import Histogram

_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0)
_LABELS: Final = ("grpc_type", "grpc_service", "grpc_method")


class Metrics(Interceptor, Collector):
    """Counts every call that begins and that ends, and how long it takes, until its last answer.

    The event loop alone counts, so a call takes neither a lock nor the look-up of a label.
    """

    everywhere: ClassVar[bool] = True

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls: dict[str, _Calls] = {}
        registry.register(self)

    def wrap(self, method: Method, call: Call) -> Call:
        """Measure the calls of the method."""
        calls = self._calls.setdefault(method.full_name, _Calls(method))
        observe, clock = calls.seconds.observe, time.perf_counter

        async def measured(request: Payload, context: Context) -> Payload:
            calls.started += 1
            begun = clock()
            try:
                answer = await call(request, context)
            except BaseException as error:
                seconds = clock() - begun
                calls.failed[code_after(error, context, seconds)] += 1
                observe(seconds)
                raise
            calls.succeeded += 1
            observe(clock() - begun)
            return answer

        return measured

    def collect(self) -> Iterator[Metric]:
        """Yield the three metrics of every method."""
        started = CounterMetricFamily("grpc_server_started", "Calls that began.", labels=_LABELS)
        handled = CounterMetricFamily(
            "grpc_server_handled",
            "Calls that ended, whoever ended them.",
            labels=(*_LABELS, "grpc_code"),
        )
        seconds = HistogramMetricFamily(
            "grpc_server_handling_seconds",
            "Seconds from a call's beginning to its end.",
            labels=_LABELS,
        )
        for calls in tuple(self._calls.values()):
            started.add_metric(calls.labels, calls.started)
            for code, count in calls.ended():
                handled.add_metric((*calls.labels, code.name), count)
            calls.seconds.add_to(seconds, calls.labels)
        return iter((started, handled, seconds))


class _Calls:
    """What is counted of one method."""

    __slots__ = ("failed", "labels", "seconds", "started", "succeeded")

    def __init__(self, method: Method) -> None:
        self.labels = (method.kind, method.service, method.name)
        self.started = 0
        self.succeeded = 0
        # All codes are there from the beginning: another thread reads while calls end.
        self.failed = dict.fromkeys(grpc.StatusCode, 0)
        self.seconds = Histogram(_BOUNDS)

    def ended(self) -> Iterator[tuple[grpc.StatusCode, int]]:
        """Yield how many calls ended with which code.

        What alerts look at is there before it happens, since Prometheus sees no increase in what
        wasn't there.
        """
        yield grpc.StatusCode.OK, self.succeeded
        for code, count in self.failed.items():
            if count or code in SERVER_FAULTS:
                yield code, count
