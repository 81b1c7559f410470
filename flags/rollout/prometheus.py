"""The evidence, as Prometheus has it."""

import asyncio
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate, pairwise
from typing import Final, TypeAlias

from flags.rollout.evidence import (
    SERVER_FAULTS,
    Calls,
    Evidence,
    EvidenceMissing,
    Reading,
    Span,
)
from flags.rollout.plan import WINDOW, Plan, Query
from flags.rollout.prometheus_api import PrometheusApi, PrometheusFailed, Series
from flags.rollout.servers import Servers

TREATMENT: Final = "treatment"
CONTROL: Final = "control"
FEATURE: Final = "feature"
"""The treatment on what the flag gates, where `arms` tells it from what both arms can call."""

_LABELS: Final[Mapping[Query, tuple[str, ...]]] = {
    Query.GATED_ENDED: ("grpc_code",),
    Query.GATED_SECONDS: ("le",),
    Query.COMPARED_ENDED: ("arm", "grpc_code"),
    Query.COMPARED_SECONDS: ("arm", "le"),
    Query.ERROR_MERCHANTS: ("arm", "kind"),
    Query.RATINGS: ("rating",),
}
"""By what the answer to each query is told apart. Without an arm it is the treatment's."""

_KNOWN_SECONDS: Final = 30 * 86400.0
"""How long before a rollout an error is remembered."""
_BLIND_LOOKS: Final = 4
"""In fewer of the breaker's looks a server that restarts, or was too busy for a scrape, is reached
again."""
_OTHER_KINDS: Final = "other"
"""What servers do not tell apart any more: a new kind may be among it."""
_RATINGS: Final = frozenset("12345")

_Table: TypeAlias = Mapping[tuple[str, str], float]
"""An answer: numbers by arm, and by code, bucket, kind or rating."""


@dataclass(frozen=True, slots=True)
class ArmPoint:
    """How an arm did just before a time."""

    at: float
    """In seconds since the epoch."""
    ended: float
    """How many calls ended in the step before."""
    error_rate: float | None
    """The share of them that failed by the server's fault; None: there were none."""
    slow_seconds: float | None
    """The plan's quantile of their durations, in seconds; None: none has a duration."""


@dataclass(frozen=True, slots=True)
class _Question:
    query: Query
    span: Span


class PrometheusEvidence:
    """Asks Prometheus the queries of a plan."""

    def __init__(self, plan: Plan, url: str, *, patience: float = 10.0) -> None:
        """Ask a Prometheus; `patience` is how many seconds each query may take."""
        self._plan = plan
        self._api = PrometheusApi(url, patience=patience)
        self._servers = Servers(self._api, patience=_BLIND_LOOKS * plan.breaker.look_every)

    async def gather(self, phase: Span, before: Span | None) -> tuple[Evidence, list[Reading]]:
        """Return what was counted in a phase, as the port says."""
        questions = [_Question(query, phase) for query in Query]
        if before is not None:
            questions += [
                _Question(Query.COMPARED_ENDED, before),
                _Question(Query.COMPARED_SECONDS, before),
            ]
        gaps, asked = await self._servers.find_gaps(phase)
        tables, readings = await self._ask(questions)
        now = dict(zip(Query, tables, strict=False))
        ended, seconds = now[Query.COMPARED_ENDED], now[Query.COMPARED_SECONDS]
        evidence = Evidence(
            gated=_calls(now[Query.GATED_ENDED], now[Query.GATED_SECONDS], TREATMENT),
            treatment=_calls(ended, seconds, TREATMENT),
            control=(
                _calls(ended, seconds, CONTROL)
                if before is None
                else _calls(tables[-2], tables[-1], TREATMENT, CONTROL)
            ),
            error_merchants={
                kind: round(count)
                for kind, count in _by(now[Query.ERROR_MERCHANTS], TREATMENT).items()
            },
            ratings={
                int(rating): round(count)
                for rating, count in _by(now[Query.RATINGS], TREATMENT).items()
            },
            gaps=gaps,
        )
        return evidence, [*readings, *asked]

    async def burned(self, span: Span) -> Calls:
        """Return the treatment's calls of all methods in a span, without durations."""
        queries = (Query.GATED_ENDED, Query.COMPARED_ENDED)
        tables, _ = await self._ask([_Question(query, span) for query in queries])
        gated, compared = (_calls(table, {}, TREATMENT) for table in tables)
        return Calls(gated.ended + compared.ended, gated.failed + compared.failed, 0, {})

    async def require_servers(self, at: float) -> None:
        """Make sure that somebody is watched, as the port says."""
        await self._servers.require(at)

    async def known_kinds(self, at: float, *, accepted_since: float | None) -> frozenset[str]:
        """Return the kinds of unexpected errors that are no news at a time.

        Those are of the 30 days before it: what the control has met, to which all merchants belong
        while nobody is let in, and from a time on what the treatment has met as well.

        Args:
            at: The time, in seconds since the epoch.
            accepted_since: From when on the treatment's count; None: they don't, for what it alone
                has met is the feature's doing.

        Raises:
            EvidenceMissing: The metric cannot be read, or no server is reached.
        """
        await self._servers.require(at)
        spans = [Span(at - _KNOWN_SECONDS, at)]
        if accepted_since is not None:
            spans.append(Span(max(spans[0].since, accepted_since), at))
        tables, _ = await self._ask([_Question(Query.ERROR_MERCHANTS, span) for span in spans])
        arms = zip(tables, (CONTROL, TREATMENT), strict=False)
        kinds = {
            kind for table, arm in arms for kind, reached in _by(table, arm).items() if reached
        }
        return frozenset(kinds - {_OTHER_KINDS})

    async def arms(
        self, since: float, until: float, step: float
    ) -> dict[str, tuple[ArmPoint, ...]]:
        """Return how each arm did on the methods that both can call, the oldest first.

        FEATURE is how the treatment did on those that the flag gates.

        Args:
            since: The first time, in seconds since the epoch.
            until: The last one.
            step: The seconds between two; each tells of that long before it, so it should be a
                few times as long as Prometheus takes from scrape to scrape. There may be 11,000.

        Raises:
            EvidenceMissing: A metric cannot be read.
        """
        gated, gated_seconds, ended, seconds = await asyncio.gather(
            *(
                self._ask_over(query, since, until, step)
                for query in (
                    Query.GATED_ENDED,
                    Query.GATED_SECONDS,
                    Query.COMPARED_ENDED,
                    Query.COMPARED_SECONDS,
                )
            )
        )
        return {
            FEATURE: self._points(gated, gated_seconds, TREATMENT),
            TREATMENT: self._points(ended, seconds, TREATMENT),
            CONTROL: self._points(ended, seconds, CONTROL),
        }

    def _points(
        self, ended: Mapping[float, _Table], seconds: Mapping[float, _Table], arm: str
    ) -> tuple[ArmPoint, ...]:
        return tuple(
            self._point(at, _by(table, arm), _by(seconds.get(at, {}), arm))
            for at, table in sorted(ended.items())
        )

    def _point(
        self, at: float, codes: Mapping[str, float], buckets: Mapping[str, float]
    ) -> ArmPoint:
        ended = sum(codes.values())
        return ArmPoint(
            at,
            ended,
            _failed(codes) / ended if ended else None,
            _quantile(self._plan.criteria.quantile, buckets),
        )

    async def _ask(self, questions: Sequence[_Question]) -> tuple[list[_Table], list[Reading]]:
        """Return every answer, and how it was asked; raises EvidenceMissing if one is not had."""
        texts = [self._text(question.query, question.span) for question in questions]
        answers = await asyncio.gather(
            *(
                asyncio.to_thread(self._read, question.query, text, question.span.until)
                for question, text in zip(questions, texts, strict=True)
            ),
            return_exceptions=True,
        )
        tables: list[_Table] = []
        readings: list[Reading] = []
        problem: PrometheusFailed | None = None
        latest = max(question.span.until for question in questions)
        for question, text, answer in zip(questions, texts, answers, strict=True):
            asked = text if question.span.until == latest else f"{text} # {_tell(question.span)}"
            if isinstance(answer, PrometheusFailed):
                problem = problem or answer
                readings.append(Reading(asked, str(answer)))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                tables.append(answer)
                readings.append(Reading(asked, _show(answer)))
        if problem is not None:
            raise EvidenceMissing(str(problem), readings) from problem
        return tables, readings

    def _text(self, query: Query, span: Span) -> str:
        """Return a query over a span: in whole seconds, of which nothing is before the span."""
        return self._plan.queries[query].replace(WINDOW, f"{max(1, math.floor(span.seconds))}s")

    def _read(self, query: Query, text: str, at: float) -> _Table:
        return _table(query, [(each.labels, each.values[0][1]) for each in self._api.ask(text, at)])

    async def _ask_over(
        self, query: Query, since: float, until: float, step: float
    ) -> dict[float, _Table]:
        """Return the answers by their times."""
        text = self._text(query, Span(0, step))
        ask = partial(self._api.ask_over, text, since, until, step)
        try:
            return _tables(query, await asyncio.to_thread(ask))
        except PrometheusFailed as error:
            raise EvidenceMissing(str(error), [Reading(text, str(error))]) from error


def _table(query: Query, found: Iterable[tuple[Mapping[str, str], float]]) -> _Table:
    """Return an answer as a table, if it is one to this query."""
    table: dict[tuple[str, str], float] = {}
    for labels, value in found:
        if labels.keys() != set(_LABELS[query]):
            told = ", ".join(labels) or "nothing"
            raise PrometheusFailed(
                f"The answer to {query} is by {told}, not by {', '.join(_LABELS[query])}"
            )
        arm, key = labels.get("arm", TREATMENT), labels[_LABELS[query][-1]]
        if value < 0 or not _makes_sense(query, arm, key):
            raise PrometheusFailed(f"The answer to {query} makes no sense: {arm} {key} {value:g}")
        table[arm, key] = value
    if _LABELS[query][-1] == "le" and {arm for arm, _ in table} != {
        arm for arm, bound in table if math.isinf(float(bound))
    }:
        raise PrometheusFailed(f"The answer to {query} has no bucket +Inf")
    return table


def _makes_sense(query: Query, arm: str, key: str) -> bool:
    if arm not in (TREATMENT, CONTROL):
        return False
    match _LABELS[query][-1]:
        case "le":
            return _is_number(key)
        case "rating":
            return key in _RATINGS
        case _:
            return True


def _is_number(text: str) -> bool:
    try:
        return not math.isnan(float(text))
    except ValueError:
        return False


def _tables(query: Query, found: Iterable[Series]) -> dict[float, _Table]:
    rows: dict[float, list[tuple[Mapping[str, str], float]]] = {}
    for each in found:
        for at, value in each.values:
            rows.setdefault(at, []).append((each.labels, value))
    return {at: _table(query, row) for at, row in rows.items()}


def _by(table: _Table, *arms: str) -> dict[str, float]:
    """Return the numbers of these arms together."""
    sums: dict[str, float] = {}
    for (arm, key), value in table.items():
        if arm in arms:
            sums[key] = sums.get(key, 0.0) + value
    return sums


def _calls(ended: _Table, seconds: _Table, *arms: str) -> Calls:
    """Return the calls of these arms: whole ones, though Prometheus extrapolates counts."""
    codes = _by(ended, *arms)
    buckets = _buckets(_by(seconds, *arms))
    within = {bound: round(count) for bound, count in buckets}
    return Calls(
        ended=round(sum(codes.values())),
        failed=round(_failed(codes)),
        timed=within.pop(math.inf, 0),
        within=within,
    )


def _failed(codes: Mapping[str, float]) -> float:
    return sum(count for code, count in codes.items() if code in SERVER_FAULTS)


def _buckets(counts: Mapping[str, float]) -> list[tuple[float, float]]:
    """Return cumulative buckets by their bounds.

    Each is extrapolated by itself, so that one may come out a little under a smaller one.
    """
    bounds = sorted((float(bound), count) for bound, count in counts.items())
    risen = accumulate((count for _, count in bounds), max)
    return [(bound, count) for (bound, _), count in zip(bounds, risen, strict=True)]


def _quantile(quantile: float, counts: Mapping[str, float]) -> float | None:
    """Return a quantile as Prometheus' histogram_quantile does: linear within its bucket."""
    buckets = [(0.0, 0.0), *_buckets(counts)]
    rank = quantile * buckets[-1][1]
    if not rank:
        return None
    for (low, below), (high, reached) in pairwise(buckets):
        if reached >= rank:
            if math.isinf(high):
                return low
            return low + (high - low) * (rank - below) / (reached - below)
    return None


def _show(table: _Table) -> str:
    """Return an answer for a reader."""
    return "; ".join(f"{arm} {key}: {value:,.6g}" for (arm, key), value in table.items()) or "none"


def _tell(span: Span) -> str:
    return f"at {datetime.fromtimestamp(span.until, UTC):%Y-%m-%d %H:%M:%S} UTC"
