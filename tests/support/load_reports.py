"""Reports of load, as runs of known latencies would give them."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hdrh.histogram import HdrHistogram

from load.report.model import (
    Bucket,
    CallReport,
    Clock,
    Detail,
    Extra,
    GateResult,
    Latency,
    Machine,
    Report,
    Second,
)

MS = 1_000_000
S = 1_000_000_000


@dataclass(frozen=True)
class Made:
    """A call that was made: when it ended, in seconds, and how long it took, in nanoseconds."""

    ended: float
    service: int
    response: int
    call: str = "shop.v1.Orders.GetOrder"
    error: str = ""
    status: str = "OK"
    cache: str = ""


def clock_of(times: Sequence[int]) -> Clock:
    """Return what a clock says about times in nanoseconds."""
    histogram = HdrHistogram(1, 3_600_000_000, 3)
    for time in times:
        histogram.record_value(max(1, time // 1000))
    ordered = sorted(times) or [0]
    shares = {"p50": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99.9": 0.999}
    shares["p99.99"] = 0.9999
    return Clock(
        count=len(times),
        average=sum(ordered) // len(ordered),
        fastest=ordered[0],
        slowest=ordered[-1],
        percentiles={name: _rank(ordered, share) for name, share in shares.items()},
        histogram=histogram.encode().decode(),
    )


def _rank(ordered: Sequence[int], share: float) -> int:
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def report_of(
    made: Sequence[Made],
    *,
    seconds: float,
    scheduled: bool = True,
    gates: Sequence[GateResult] = (),
    warnings: Sequence[str] = (),
    options: Mapping[str, Any] | None = None,
    name: str = "",
    late: int = 0,
) -> Report:
    """Return the report of calls that took so many seconds."""
    good = sorted(call.service for call in made if not call.error)
    count = len(made)
    calls = sorted({call.call for call in made})
    return Report(
        date="2026-11-24T20:30:20.123456789+05:30",
        name=name,
        options={"call": calls[0] if calls else "", "host": "127.0.0.1:50051", **(options or {})},
        count=count,
        total=int(seconds * S),
        average=sum(call.service for call in made) // count if count else 0,
        fastest=good[0] if good else 0,
        slowest=good[-1] if good else 0,
        rps=count / seconds,
        error_distribution=Counter(call.error for call in made if call.error),
        status_code_distribution=Counter(call.status for call in made),
        latency_distribution=[
            Latency(percentage, _rank(good, percentage / 100))
            for percentage in (10, 25, 50, 75, 90, 95, 99)
        ]
        if good
        else None,
        histogram=_bars(good),
        details=[
            Detail(
                f"2026-11-24T20:29:{int(call.ended) % 60:02d}Z",
                call.service,
                call.error,
                call.status,
            )
            for call in made
        ],
        tags={"env": "staging"},
        patron=Extra(
            version="0.1.0",
            machine=Machine(
                id="5f3a91", system="Linux 6.1", processor="x86-64", cores=2, python="3.11.9"
            ),
            processes=2,
            generator_busy=0.71,
            late=late,
            dropped=0,
            scheduled=scheduled,
            service=clock_of([call.service for call in made if not call.error]),
            response=clock_of([call.response for call in made if not call.error]),
            calls=[
                _call_report(call, [item for item in made if item.call == call], seconds)
                for call in calls
            ],
            timeline=_timeline(made, seconds),
            warnings=warnings,
            gates=gates,
        ),
    )


def _bars(good: Sequence[int]) -> Sequence[Bucket] | None:
    if not good:
        return None
    step = (good[-1] - good[0]) / 10
    marks = [good[0] + step * index for index in range(10)] + [good[-1]]
    counts = [0] * len(marks)
    for time in good:
        counts[next(index for index, mark in enumerate(marks) if time <= mark)] += 1
    return [
        Bucket(mark / S, count, count / len(good))
        for mark, count in zip(marks, counts, strict=True)
    ]


def _call_report(call: str, made: Sequence[Made], seconds: float) -> CallReport:
    caches = Counter(item.cache for item in made if item.cache)
    return CallReport(
        call=call,
        count=len(made),
        rps=len(made) / seconds,
        errors=sum(1 for item in made if item.error),
        statuses=Counter(item.status for item in made),
        service=clock_of([item.service for item in made if not item.error]),
        response=clock_of([item.response for item in made if not item.error]),
        trailers={"patron-cache": caches} if caches else {},
    )


def _timeline(made: Sequence[Made], seconds: float) -> Sequence[Second]:
    timeline = []
    for second in range(int(seconds)):
        inside = [call for call in made if second <= call.ended < second + 1]
        timeline.append(
            Second(
                at=second,
                count=len(inside),
                errors=sum(1 for call in inside if call.error),
                service=_percentiles([call.service for call in inside if not call.error]),
                response=_percentiles([call.response for call in inside if not call.error]),
            )
        )
    return timeline


def _percentiles(times: Sequence[int]) -> Mapping[str, int]:
    ordered = sorted(times)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: _rank(ordered, share) for name, share in shares.items()} if ordered else {}


def stalled_run(*, gates: Sequence[GateResult] = ()) -> Report:
    """Return a minute of 100 calls a second of four methods, with a stall of a second in it.

    From the 20th second on the server holds its ten calls for a second; what was meant to begin
    meanwhile begins late.
    """
    chance = random.Random(7)
    methods = {
        "shop.v1.Orders.GetOrder": 0.6,
        "shop.v1.Orders.ListOrders": 0.2,
        "shop.v1.Customers.GetCustomer": 0.1,
        "shop.v1.Orders.CreateOrder": 0.1,
    }
    made = []
    for number in range(6000):
        meant = number / 100
        service = int(chance.lognormvariate(1.4, 0.5) * MS)
        wait = 0
        if 20 <= meant < 20.1:
            service += S
        elif 20.1 <= meant < 21:
            wait = int((21 - meant) * S)
        call = chance.choices(list(methods), list(methods.values()))[0]
        cache = chance.choices(["hit", "miss"], [9, 1])[0] if call.endswith("GetOrder") else ""
        failed = chance.random() < 0.004
        made.append(
            Made(
                ended=meant + (service + wait) / S,
                service=service,
                response=service + wait,
                call=call,
                error="rpc error: code = Unavailable desc = no `healthy` | upstream\n<b>now</b>"
                if failed
                else "",
                status="Unavailable" if failed else "OK",
                cache=cache,
            )
        )
    return report_of(
        [call for call in made if call.ended < 60],
        seconds=60,
        gates=gates,
        warnings=["The generator used 94 % of a core: its own delays are in these figures."],
        options={
            "concurrency": 10,
            "rps": 100,
            "timeout": 20 * S,
            "metadata": {"authorization": "Bearer secret"},
            "data": {"id": "{{randomInt 1 100}}"},
        },
        name="Orders at 100 calls a second",
        late=90,
    )
