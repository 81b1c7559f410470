"""patron-load beside the real ghz: the same reports of the same runs on the same server."""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.beside_ghz import (
    Both,
    both,
    comparable,
    latencies,
    patron_load,
    real_ghz,
    requests,
    shape,
)
from tests.support.certificates import Authority
from tests.support.probe import PROTO, SERVICE, Probe, probe_server
from tests.support.probe.contract import descriptor_set, message_class

JSON: Final = ("-O", "json")
NOISE: Final = 0.2
ROUNDS: Final = 3


class Case(NamedTuple):
    """What both are asked for."""

    name: str
    arguments: Sequence[str]
    probe: Sequence[str] = ()
    """How the server behaves."""
    method: str = "Echo"


A_B_C: Final = '[{"name": "a"}, {"name": "b"}, {"name": "c"}]'
FAILING: Final = ("--fail-every", "10")
SOME: Final = ("-n", "40", "-c", "4")
TICKS: Final = '{"messages": 50, "interval_milliseconds": 20}'


def _text(probe_of: Case) -> str:
    return probe_of.name


QUICK: Final = (
    Case("tenth call fails", ("-n", "200", "-c", "20", "-d", '{"name": "a"}'), FAILING),
    Case(
        "templates and metadata",
        (
            *("-n", "60", "-c", "1", "--name", "the run", "--tags", '{"a": "b"}'),
            *("-d", '{"name": "{{.RequestNumber}} {{.MethodName}}", "tags": ["{{.WorkerID}}"]}'),
            *("-m", '{"Trace": "{{.RequestNumber}}", "token-bin": "AAEC"}'),
        ),
    ),
    Case("an array in turn", ("-n", "31", "-c", "1", "-d", A_B_C)),
    Case("messages of a client", (*SOME, "-d", A_B_C, "--stream-call-count", "7"), (), "Collect"),
    Case(
        "messages of a server, ended",
        (*SOME, "-d", TICKS, "--stream-call-count", "2"),
        (),
        "Repeat",
    ),
    Case("both stream", (*SOME, "-d", A_B_C), FAILING, "Chat"),
    Case(
        "connections, first calls skipped",
        ("-n", "60", "-c", "10", "--connections", "5", "--skipFirst", "20"),
    ),
    Case("time is over: closed", ("-z", "700ms", "-c", "5"), ("--delay", "0.5")),
    Case("time is over: streams closed", ("-z", "700ms", "-c", "3", "-d", TICKS), (), "Repeat"),
)

SLOW: Final = (
    Case("errors count", ("-n", "100", "-c", "1", "--count-errors"), FAILING),
    Case("all fail", SOME, ("--fail-every", "1", "--code", "INVALID_ARGUMENT")),
    Case("too late", ("-n", "12", "-c", "4", "-t", "100ms"), ("--delay", "1")),
    Case("rate", ("-n", "60", "-c", "5", "-r", "40")),
    Case("rate for a time", ("-z", "1s", "-c", "5", "-r", "41")),
    Case("not waiting", ("-n", "40", "-c", "1", "--async", "-r", "40"), ("--delay", "0.3")),
    Case("step", ("-z", "2600ms", "-c", "5", "--load-schedule", "step", "--load-start", "20",
                  "--load-step", "20", "--load-end", "60", "--load-step-duration", "1s")),
    Case("line", ("-z", "2600ms", "-c", "5", "--load-schedule", "line", "--load-start", "20",
                  "--load-step", "20", "--load-end", "100")),
    Case("line down, by number",
         ("-n", "110", "-c", "5", "--load-schedule", "line", "--load-start", "60", "--load-step",
          "-20", "--load-end", "20", "--load-max-duration", "2s")),
    Case("more workers by steps",
         ("-n", "60", "--concurrency-schedule", "step", "--concurrency-start", "2",
          "--concurrency-step", "2", "--concurrency-end", "6",
          "--concurrency-step-duration", "500ms"), ("--delay", "0.1")),
    Case("more workers by a line",
         ("-n", "40", "--concurrency-schedule", "line", "--concurrency-start", "2",
          "--concurrency-step", "3", "--concurrency-end", "8"), ("--delay", "0.1")),
    Case("time is over: waited for", ("-z", "700ms", "-c", "5", "--duration-stop", "wait"),
         ("--delay", "0.5")),
    Case("time is over: left out", ("-z", "700ms", "-c", "5", "--duration-stop", "ignore"),
         ("--delay", "0.5")),
    Case("time is over: messages of a client",
         ("-z", "700ms", "-c", "3", "--stream-call-count", "500", "--stream-interval", "20ms"),
         (), "Collect"),
    Case("time is over: both stream",
         ("-z", "700ms", "-c", "3", "--stream-call-count", "500", "--stream-interval", "20ms"),
         (), "Chat"),
    Case("messages of a server", ("-n", "12", "-c", "4", "-d", '{"messages": 5}'), (), "Repeat"),
    Case("messages of a server for a time",
         ("-n", "8", "-c", "4", "-d", TICKS, "--stream-call-duration", "200ms"), (), "Repeat"),
    Case("messages of a server too late", ("-n", "8", "-c", "4", "-d", TICKS, "-t", "100ms"),
         (), "Repeat"),
    Case("messages of a client, some",
         ("-n", "8", "-c", "4", "-d", A_B_C, "--stream-call-count", "2"), (), "Collect"),
    Case("messages of a client, at times",
         ("-n", "8", "-c", "4", "-d", A_B_C, "--stream-interval", "50ms"), (), "Collect"),
    Case("messages of a client for a time",
         ("-n", "8", "-c", "4", "-d", A_B_C, "--stream-interval", "100ms",
          "--stream-call-duration", "150ms"), (), "Collect"),
    Case("both stream for a time",
         ("-n", "8", "-c", "4", "-d", A_B_C, "--stream-interval", "100ms",
          "--stream-call-duration", "150ms"), (), "Chat"),
    Case("authority, sizes, keepalive",
         (*SOME, "--authority", "shop", "--max-recv-message-size", "1mb", "--keepalive", "10s")),
    Case("templates that are none",
         (*SOME, "-d", '{"name": "{{.RequestNumber}}"}', "--disable-template-data")),
    Case("cores", (*SOME, "--cpus", "1", "--connect-timeout", "5s")),
)  # fmt: skip


def asked(case: Case) -> Sequence[str]:
    """Return the arguments of a case."""
    return ("--insecure", "--call", f"{SERVICE}/{case.method}", *case.arguments)


def assert_same(done: Both) -> None:
    """Assert that the reports are of the same form, and tell of the same calls."""
    ours, theirs = comparable(done.ours.ran.report), comparable(done.theirs.ran.report)
    assert shape(ours) == shape(theirs)
    for key in ("name", "endReason", "options", "count", "tags"):
        assert ours.get(key) == theirs.get(key), key
    for key in ("statusCodeDistribution", "errorDistribution"):
        assert ours[key] == theirs[key]
    assert statuses(ours) == statuses(theirs)
    # How far a call has come when it is ended here is a matter of luck.
    assert done.ours.seen.calls == done.theirs.seen.calls
    assert done.ours.seen.connections == done.theirs.seen.connections
    assert requests(done.ours.seen) == requests(done.theirs.seen)


def statuses(report: Mapping[str, Any]) -> "Counter[str]":
    """Return how often the details of a report have which status."""
    return Counter(each["status"] for each in report["details"])


@pytest.mark.parametrize(
    "case", [*QUICK, *(pytest.param(c, marks=pytest.mark.slow) for c in SLOW)], ids=_text
)
def test_reports_are_the_same(case: Case) -> None:
    """Keys in their order, types, options, counts, statuses and errors; and what the server saw."""
    with probe_server(*case.probe) as probe:
        assert_same(both(probe, *asked(case), *JSON))
