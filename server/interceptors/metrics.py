"""The standard metrics of a gRPC server."""

import time
from typing import ClassVar

import grpc
from prometheus_client import CollectorRegistry, Counter, Histogram

from server.interceptors.interceptor import Call, Context, Interceptor, Payload
from server.interceptors.method import Method
from server.interceptors.outcome import code_after

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LABELS = ("grpc_type", "grpc_service", "grpc_method")


class Metrics(Interceptor):
    """Counts every call that begins and that ends, and how long it takes, until its last answer."""

    everywhere: ClassVar[bool] = True

    def __init__(self, registry: CollectorRegistry) -> None:
        self._started = Counter(
            "grpc_server_started", "Calls that began.", _LABELS, registry=registry
        )
        self._handled = Counter(
            "grpc_server_handled",
            "Calls that ended, whoever ended them.",
            (*_LABELS, "grpc_code"),
            registry=registry,
        )
        self._seconds = Histogram(
            "grpc_server_handling_seconds",
            "Seconds from a call's beginning to its end.",
            _LABELS,
            buckets=_BUCKETS,
            registry=registry,
        )

    def wrap(self, method: Method, call: Call) -> Call:
        """Measure the calls of the method."""
        labels = (method.kind, method.service, method.name)
        started = self._started.labels(*labels)
        seconds = self._seconds.labels(*labels)
        handled = _ByCode(self._handled, labels)

        async def measured(request: Payload, context: Context) -> Payload:
            started.inc()
            begun = time.perf_counter()
            code = grpc.StatusCode.OK
            try:
                return await call(request, context)
            except BaseException as error:
                code = code_after(error, context, time.perf_counter() - begun)
                raise
            finally:
                handled[code].inc()
                seconds.observe(time.perf_counter() - begun)

        return measured


class _ByCode(dict[grpc.StatusCode, Counter]):
    """The counters of one method by their code, looked up by their labels only once."""

    def __init__(self, handled: Counter, labels: tuple[str, ...]) -> None:
        super().__init__()
        self._handled = handled
        self._labels = labels

    def __missing__(self, code: grpc.StatusCode) -> Counter:
        counter = self[code] = self._handled.labels(*self._labels, code.name)
        return counter
