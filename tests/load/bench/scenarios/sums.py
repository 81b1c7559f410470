"""Sums over a year of many bills, against those of few."""

import itertools
import time
from collections.abc import Iterator
from datetime import timedelta
from statistics import median
from typing import Any, Final

import grpc
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from patron.analytics.v1.analytics_pb2 import INTERVAL_DAY, Period
from patron.analytics.v1.analytics_service_pb2 import GetSummaryRequest, GetTimeSeriesRequest
from tests.load.bench.lab import Lab, say
from tests.load.bench.million import DAYS, FEW_MERCHANT, FIRST_DAY, MANY_MERCHANT, open_million
from tests.load.bench.report import Outcome
from tests.load.bench.samples import median_ratio
from tests.load.world import calls
from tests.load.world.errors import NotMeasured
from tests.load.world.patron import serving
from tests.load.world.tokens import Tokens

_SUMS = ["sales_minor", "bills", "paid_minor", "outstanding_minor", "walk_in_bills"]
_DISTINCT = ["active_customers"]
_SHIFTS: Final = 35
"""From how many days a year can begin, and on how many it can end."""
_CALLS = 50
"""Of each kind and merchant, in a round."""


def measure(lab: Lab) -> Outcome:
    """Take the times of both merchants in turn, call by call; none is answered from a cache."""
    kinds: dict[str, tuple[str, Iterator[Message]]] = {
        "summary": ("GetSummary", _summaries(_SUMS)),
        "series": ("GetTimeSeries", _series()),
        "distinct": ("GetSummary", _summaries(_DISTINCT)),
    }
    times: dict[str, dict[int, list[float]]] = {
        kind: {MANY_MERCHANT: [], FEW_MERCHANT: []} for kind in kinds
    }
    with open_million(lab) as databases, serving("sums", databases, lab.cores) as patron:
        tokens = Tokens(databases.data_dir)
        with grpc.insecure_channel(patron.target) as channel:
            for turn in range(-1, lab.effort.rounds):
                for kind, (method, requests) in kinds.items():
                    timed = _Timed(channel, method, tokens)
                    taken = timed.take(list(itertools.islice(requests, lab.effort.count(_CALLS))))
                    if turn >= 0:  # The first is for warming up.
                        for merchant, milliseconds in taken.items():
                            times[kind][merchant].append(milliseconds)
                if turn >= 0:
                    say(f"round {turn + 1}: {_describe(times)}")
    ratios = {
        kind: median_ratio(taken[MANY_MERCHANT], taken[FEW_MERCHANT])
        for kind, taken in times.items()
    }
    return Outcome(
        {
            "sums_1m_vs_10k": max(ratios["summary"], ratios["series"]),
            "distinct_counts_ms": median(times["distinct"][MANY_MERCHANT]),
        },
        {
            "ratios": ratios,
            "milliseconds": {
                kind: {"many": taken[MANY_MERCHANT], "few": taken[FEW_MERCHANT]}
                for kind, taken in times.items()
            },
        },
    )


class _Timed:
    """Calls of one method for both merchants, one after the other."""

    def __init__(self, channel: grpc.Channel, method: str, tokens: Tokens) -> None:
        untyped: Any = channel
        self._call = untyped.unary_unary(calls.path(method))
        self._tokens = tokens

    def take(self, requests: list[Message]) -> dict[int, float]:
        """Return the median milliseconds of each merchant."""
        taken: dict[int, list[float]] = {MANY_MERCHANT: [], FEW_MERCHANT: []}
        for request in requests:
            encoded = request.SerializeToString()
            for merchant, milliseconds in taken.items():
                milliseconds.append(self._time(encoded, merchant))
        return {merchant: median(milliseconds) for merchant, milliseconds in taken.items()}

    def _time(self, request: bytes, merchant: int) -> float:
        begun = time.perf_counter()
        _, call = self._call.with_call(request, metadata=self._tokens.metadata(merchant))
        milliseconds = 1000 * (time.perf_counter() - begun)
        if ("patron-cache", "hit") in tuple(call.trailing_metadata()):
            raise NotMeasured("a report that was to be computed came from the cache")
        return milliseconds


def _years() -> Iterator[Period]:
    """Yield every year there is, each of about 365 days, in an order that is always the same."""
    for begins, ends in itertools.product(range(_SHIFTS), range(_SHIFTS)):
        first = FIRST_DAY + timedelta(days=begins)
        last = FIRST_DAY + timedelta(days=DAYS - 1 - ends)
        yield Period(from_day=f"{first}", to_day=f"{last}")


def _summaries(fields: list[str]) -> Iterator[Message]:
    return (
        GetSummaryRequest(period=period, read_mask=FieldMask(paths=fields)) for period in _years()
    )


def _series() -> Iterator[Message]:
    return (GetTimeSeriesRequest(period=period, interval=INTERVAL_DAY) for period in _years())


def _describe(times: dict[str, dict[int, list[float]]]) -> str:
    return ", ".join(
        f"{kind} {taken[MANY_MERCHANT][-1]:.1f} ms of many, {taken[FEW_MERCHANT][-1]:.1f} of few"
        for kind, taken in times.items()
    )
