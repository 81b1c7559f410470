"""Rollouts as their page is told of them, made up."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from flags.rollout.evidence import Reading
from flags.rollout.looking import fresh_until
from flags.rollout.page import JSON_HEADERS, rollouts_html
from flags.rollout.plan import load_plan
from flags.rollout.state import Entry, Look, State, Status
from flags.rollout.verdict import Finding, Outcome, Reason, Verdict
from server.admin import AdminServer, Page
from server.health import HealthReport

HOUR = 3600.0
NOW = 1_764_000_000.0
PLANS = Path(__file__).parents[2] / "flags/rollouts"
PLAN = load_plan(PLANS / "customer-analytics.yaml")


def finding(criterion: str, outcome: Outcome, value: float | None, **changes: Any) -> Finding:
    """Return a line of the go/no-go table."""
    parts: dict[str, Any] = {
        "reason": Reason.ABSOLUTE,
        "low": None,
        "high": None,
        "limit": 0.001,
        "sample": 2400,
        "explanation": "2,400 of about 2,996 calls that a claim takes",
    }
    return Finding(criterion, outcome, value=value, **(parts | changes))


def findings(*, error_rate: Outcome = Outcome.HOLD) -> tuple[Finding, ...]:
    """Return one line for each criterion."""
    relative = {"reason": Reason.RELATIVE, "limit": 1.25, "sample": 18_112}
    failed = error_rate is Outcome.FAIL
    return (
        finding(
            "error rate",
            error_rate,
            0.0125 if failed else 0.0,
            **({"explanation": "At least 0.8 %, as surely as asked: over 0.1 %"} if failed else {}),
        ),
        finding(
            "p95",
            Outcome.PASS,
            0.173,
            limit=2.0,
            explanation="At most 0.25 s, as surely as asked",
        ),
        finding("error rate", Outcome.PASS, 1.04, **relative, explanation="0.021 % against 0.02 %"),
        finding("p95", Outcome.PASS, 0.98, **relative, explanation="51 ms against 52 ms"),
        finding(
            "new kinds of errors",
            Outcome.PASS,
            1.0,
            limit=3.0,
            explanation="ValueError reached 1 merchant",
        ),
        finding(
            "ratings",
            Outcome.NOT_JUDGED,
            4.2,
            limit=3.5,
            sample=12,
            explanation="12 of the 30 ratings that it takes",
        ),
    )


def state(outcome: Outcome = Outcome.HOLD, **changes: Any) -> State:
    """Return a rollout in its second phase, looked at a minute ago."""
    began = NOW - 53 * HOUR
    history = (
        Entry(began, "start", "asha", 10, "Ticket OPS-811: analytics for everybody"),
        Entry(NOW - 5 * HOUR, "promote", "controller", 50, "Every criterion is kept."),
    )
    readings = (
        Reading(
            'sum by (grpc_code) (increase(grpc_server_handled_total{feature="customer-analytics",'
            'arm="treatment", grpc_service="patron.analytics.v1.AnalyticsService"}[17940s]))',
            "OK 2400",
        ),
        Reading("sum by (rating) (increase(patron_feedback_ratings_total[17940s]))", "4: 9\n5: 3"),
    )
    look = Look(NOW - 60, Verdict(outcome, findings(error_rate=outcome)), readings)
    parts: dict[str, Any] = {
        "flag": PLAN.flag,
        "status": Status.RUNNING,
        "phase": 1,
        "percent": 50,
        "started_at": began,
        "phase_since": NOW - 5 * HOUR,
        "history": history,
        "look": look,
    }
    return State(**(parts | changes))


def series(*, errors: float = 0.0) -> dict[str, Any]:
    """Return six hours; `errors` is the error rate of the feature's calls in the last one."""
    times = [NOW - 6 * HOUR + 180 * i for i in range(121)]

    def wave(base: float, phase: float) -> list[list[float | None]]:
        return [[at, base * (1 + 0.2 * math.sin(at / 1500 + phase))] for at in times]

    feature = [[at, errors if at > NOW - HOUR else 0.0001] for at in times]
    other = [[at, 0.0002] for at in times]
    control = [[at, None if i % 40 == 20 else 0.00022] for i, at in enumerate(times)]
    return {
        "since": times[0],
        "until": times[-1],
        "step": 180.0,
        "note": None,
        "error_rate": {"feature": feature, "treatment": other, "control": control},
        "slow": {"feature": wave(0.21, 2), "treatment": wave(0.19, 0), "control": wave(0.17, 1)},
    }


def document(
    shown: State | None, over_time: Mapping[str, Any] | None = None, *, problem: str | None = None
) -> dict[str, Any]:
    """Return what `/rollouts.json` says."""
    rollout = {
        "plan": msgspec.to_builtins(PLAN),
        "state": msgspec.to_builtins(shown),
        "now": NOW,
        "time_left": 18.9 * HOUR,
        "fresh_until": None if shown is None else fresh_until(PLAN, shown),
        "series": over_time or series(),
    }
    return {"now": NOW, "as_of": NOW, "problem": problem, "notes": [], "rollouts": [rollout]}


@dataclass
class Shown:
    """What a server shows; a test sets other data."""

    data: dict[str, Any] = field(default_factory=dict[str, Any])
    url: str = ""


@contextmanager
def shown(data: dict[str, Any], *, port: int = 0) -> Iterator[Shown]:
    """Serve the page with these data."""
    on_page = Shown(data)

    def html() -> Page:
        page = rollouts_html()
        return Page("text/html; charset=utf-8", page.body, page.headers)

    def answer() -> Page:
        return Page("application/json", json.dumps(on_page.data).encode(), JSON_HEADERS)

    with AdminServer(
        registry=CollectorRegistry(),
        health=lambda: HealthReport(True, {}),
        pages={"/rollouts": html, "/rollouts.json": answer},
        port=port,
    ) as admin:
        on_page.url = f"http://{admin.address}/rollouts"
        yield on_page
