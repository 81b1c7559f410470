"""Users who call a server, in a process of their own on the clients' core."""

import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from typing import Final

from load.calls import Call, Metadata, Moment, Payload
from load.errors import LoadError
from load.jobs import Job, Pace, Ramp, Stop, Target
from load.report.model import Report
from load.runs import Telling, run
from tests.load.world import calls
from tests.load.world.errors import NotMeasured

_SPARE_SECONDS = 120
_DEADLINE_SECONDS = 10
_CONNECT_SECONDS = 30
_BILL: Final = "CreateBill"
_SUMMARY: Final = "GetSummary"
_CACHE: Final = "patron-cache"


@dataclass(frozen=True, slots=True)
class Group:
    """Users who all do the same, each on a connection of its own."""

    target: str
    users: int
    seconds: float
    """How long is measured."""
    warm_up: float
    """How long they call before that, in seconds."""
    mix: Mapping[str, int]
    """How often each method is called, by its short name."""
    tokens: Mapping[int, str]
    """Of each merchant that they call for, evenly."""
    billed: Sequence[int]
    """The merchants that bills are created for, evenly."""
    pause: tuple[float, float] = (0, 0)
    """From and to how many seconds a user waits between two calls."""
    every: float | None = None
    """Instead of pauses: a user means to call at every so many seconds, whatever the server does.

    Then a call's time counts from when it was meant to begin.
    """


@dataclass(frozen=True, slots=True)
class Experience:
    """What the users met while it was measured."""

    calls: int
    """How many were answered well."""
    errors: Mapping[str, int]
    """How many ended otherwise, by status code."""
    milliseconds: Mapping[str, float]
    """The percentiles of the calls that were answered well: p50, p95, p99, max."""
    methods: Mapping[str, int]
    """How many were answered well, by method."""
    hits: int
    """How many of GetSummary were answered from the cache."""
    busy: float
    """Which share of its core the generator used: near 1, it was the one that was too slow."""

    @property
    def failed(self) -> int:
        """How many calls were not answered well."""
        return sum(self.errors.values())


class Running:
    """A group of users that calls."""

    def __init__(self, group: Group) -> None:
        self._patience = group.warm_up + group.seconds + _SPARE_SECONDS
        self._by_due_time = group.every is not None
        self._cancel = threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._report = self._thread.submit(
            run, _job(group), Telling(options={}), cancel=self._cancel
        )

    def result(self) -> Experience:
        """Wait for the end and return what they met.

        Raises:
            NotMeasured: The load could not be generated.
        """
        try:
            report = self._report.result(self._patience)
        except TookTooLong as error:
            self._cancel.set()
            raise NotMeasured("the users did not come to an end") from error
        except LoadError as error:
            raise NotMeasured(f"the users could not call: {error}") from error
        finally:
            self._thread.shutdown(wait=False)
        return _experience(report, by_due_time=self._by_due_time)


def live(group: Group) -> Experience:
    """Let the users call and return what they met; raises NotMeasured."""
    return Running(group).result()


class _Requests:
    """The requests of a method; each is for some merchant, any as likely as another."""

    def __init__(self, method: str, merchants: Sequence[int], tokens: Mapping[int, str]) -> None:
        self._merchants: Sequence[tuple[Iterator[bytes], Metadata]] = [
            (_requests(method, merchant), (("authorization", f"Bearer {tokens[merchant]}"),))
            for merchant in merchants
        ]

    def payload(self, moment: Moment) -> Payload:
        """Return what a call sends."""
        del moment
        requests, metadata = random.choice(self._merchants)
        return Payload((next(requests),), metadata)


def _requests(method: str, merchant: int) -> Iterator[bytes]:
    match method:
        case "GetSummary":
            return calls.Repeated([calls.get_summary()])
        case "GetCustomer":
            return calls.Repeated([calls.get_customer(merchant, each) for each in calls.CUSTOMERS])
        case "ListCustomers":
            return calls.Repeated([calls.list_customers()])
        case "CreateBill":
            return calls.BillRequests(merchant)
        case _:
            raise ValueError(f"nobody calls {method}")


def _job(group: Group) -> Job:
    return Job(
        target=Target(group.target, credentials=None, connect_timeout=_CONNECT_SECONDS),
        calls=[
            Call(
                calls.method(method),
                _Requests(
                    method, group.billed if method == _BILL else list(group.tokens), group.tokens
                ),
                weight=weight,
                timeout=_DEADLINE_SECONDS,
            )
            for method, weight in group.mix.items()
        ],
        pace=Pace(
            workers=Ramp(start=group.users),
            duration=group.seconds,
            warm_up=group.warm_up,
            stop=Stop.WAIT,
            pause=group.pause if group.every is None and any(group.pause) else None,
            every=group.every,
        ),
        connections=group.users,
        trailers=(_CACHE,),
    )


def _experience(report: Report, *, by_due_time: bool) -> Experience:
    extra = report.patron
    if extra is None:
        raise AssertionError
    if extra.failure:
        raise NotMeasured(f"the users could not go on: {extra.failure}")
    clock = extra.response if by_due_time else extra.service
    methods = {each.call.rpartition(".")[2]: each for each in extra.calls}
    hits = methods[_SUMMARY].trailers.get(_CACHE, {}).get("hit", 0) if _SUMMARY in methods else 0
    well = {name: each.count - each.errors for name, each in methods.items()}
    percentiles = {name: clock.percentiles.get(name, 0) for name in ("p50", "p95", "p99")}
    return Experience(
        calls=sum(well.values()),
        errors={
            status: count
            for status, count in report.status_code_distribution.items()
            if status != "OK"
        },
        milliseconds={
            name: nanoseconds / 1_000_000
            for name, nanoseconds in {**percentiles, "max": clock.slowest}.items()
        },
        methods=well,
        hits=hits,
        busy=extra.generator_busy,
    )
