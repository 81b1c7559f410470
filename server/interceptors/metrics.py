"""The standard metrics of a gRPC server."""

import time
from collections.abc import Iterator
from typing import ClassVar, Final

import grpc
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from server.call import find_arm
from server.interceptors.feature_gate import arms_of
from server.interceptors.interceptor import Call, Context, Interceptor, Payload
from server.interceptors.method import Method
from server.interceptors.outcome import SERVER_FAULTS, code_after
from server.metrics import Histogram

_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 5.0, 10.0)
_LABELS: Final = ("grpc_type", "grpc_service", "grpc_method")
_ARM: Final = ("feature", "arm")
_NO_ARM: Final = ("", "")


class Metrics(Interceptor, Collector):
    """Counts every call that begins and that ends, and how long it takes, until its last answer.

    What ends is told apart by the arm of the rollout that the call was in. What begins is not: the
    gate, which knows the arm, comes later, and not every call gets there.

    The event loop alone counts, so a call takes neither a lock nor the look-up of a label.
    """

    everywhere: ClassVar[bool] = True

    def __init__(self, registry: CollectorRegistry, *, watched: str) -> None:
        """Count calls; `watched` has the arms by which methods without a feature are told apart."""
        self._watched = watched
        self._calls: dict[str, _Calls] = {}
        registry.register(self)

    def wrap(self, method: Method, call: Call) -> Call:
        """Measure the calls of the method."""
        calls = self._calls.setdefault(method.full_name, _Calls(method, self._watched))
        clock = time.perf_counter

        async def measured(request: Payload, context: Context) -> Payload:
            calls.started += 1
            begun = clock()
            try:
                answer = await call(request, context)
            except BaseException as error:
                seconds = clock() - begun
                ended = calls.in_this_arm()
                ended.failed[code_after(error, context, seconds)] += 1
                ended.seconds.observe(seconds)
                raise
            seconds = clock() - begun
            ended = calls.in_this_arm()
            ended.succeeded += 1
            ended.seconds.observe(seconds)
            return answer

        return measured

    def collect(self) -> Iterator[Metric]:
        """Yield the three metrics of every method."""
        started = CounterMetricFamily("grpc_server_started", "Calls that began.", labels=_LABELS)
        handled = CounterMetricFamily(
            "grpc_server_handled",
            "Calls that ended, whoever ended them.",
            labels=(*_LABELS, "grpc_code", *_ARM),
        )
        seconds = HistogramMetricFamily(
            "grpc_server_handling_seconds",
            "Seconds from a call's beginning to its end.",
            labels=(*_LABELS, *_ARM),
        )
        for calls in tuple(self._calls.values()):
            started.add_metric(calls.labels, calls.started)
            for ended in calls.ended:
                for code, count in ended.by_code():
                    handled.add_metric((*calls.labels, code.name, *ended.arm), count)
                ended.seconds.add_to(seconds, (*calls.labels, *ended.arm))
        return iter((started, handled, seconds))


class _Calls:
    """What is counted of one method."""

    __slots__ = ("_apart", "_control", "_treatment", "ended", "labels", "started")

    def __init__(self, method: Method, watched: str) -> None:
        self.labels = (method.kind, method.service, method.name)
        self.started = 0
        feature = arms_of(method, watched)
        self._apart = _Ended(_NO_ARM)
        self._treatment = _Ended((feature, "treatment"))
        self._control = _Ended((feature, "control"))
        self.ended = [self._apart]
        if not method.standard:  # Those pass no gate.
            self.ended.append(self._treatment)
        if not method.standard and not method.policy.feature:  # Whose control is refused.
            self.ended.append(self._control)

    def in_this_arm(self) -> "_Ended":
        """Return what is counted of the calls that ended in the arm of this one."""
        arm = find_arm()
        if arm is None:
            return self._apart
        return self._treatment if arm.treatment else self._control


class _Ended:
    """What is counted of the calls of one method that ended in one arm, or in none."""

    __slots__ = ("arm", "failed", "seconds", "succeeded")

    def __init__(self, arm: tuple[str, str]) -> None:
        self.arm = arm
        """The feature and the arm, as labels."""
        self.succeeded = 0
        # All codes are there from the beginning: another thread reads while calls end.
        self.failed = dict.fromkeys(grpc.StatusCode, 0)
        self.seconds = Histogram(_BOUNDS)

    def by_code(self) -> Iterator[tuple[grpc.StatusCode, int]]:
        """Yield how many calls ended with which code.

        What alerts and rollouts look at is there before it happens, since Prometheus sees no
        increase in what wasn't there.
        """
        yield grpc.StatusCode.OK, self.succeeded
        for code, count in self.failed.items():
            if count or code in SERVER_FAULTS:
                yield code, count
