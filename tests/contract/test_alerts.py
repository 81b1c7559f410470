"""The alerts look at what there is, have an entry in the runbook, and fire when they should."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from server.metrics import Readings
from server.metrics.rollouts import show_rollouts
from server.workers.metrics import WorkersCollector
from tests.support.service import Service

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/prometheus"
RULES = (FOLDER / "rules.yml").read_text()
OPERATIONS = (ROOT / "docs/operations.md").read_text()
RUNBOOKS = {
    page: text[text.index("## Runbook") :]
    for page in ("operations", "rollout")
    for text in [(ROOT / f"docs/{page}.md").read_text()]
}
"""The runbook of the service, and that of rollouts."""
ALERTS = re.findall(r"^ +- alert: (\w+)$", RULES, re.MULTILINE)
NAME = re.compile(r"\b(?:grpc_server|patron|process)_[a-z_]+\b")


def _of(collector: Collector) -> set[str]:
    """Return the names of a collector's metrics."""
    return {
        f"{metric.name}_total" if metric.type == "counter" else metric.name
        for metric in collector.collect()
    }


def _controller() -> Readings:
    readings = Readings(CollectorRegistry())
    show_rollouts(readings, {})
    return readings


OF_THE_SUPERVISOR = _of(WorkersCollector(list))
"""What a worker can't know of itself."""

OF_THE_CONTROLLER = _of(_controller())
"""What `patron rollout run` shows."""

WITH_UNLEASH = {"patron_flags_age_seconds"}
"""What a worker shows only where Unleash is configured."""

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None,
    reason="promtool is not installed: it comes with Prometheus (Debian: apt install prometheus)",
)


def queries() -> list[str]:
    """Return every query of the runbook."""
    text = "".join([OPERATIONS, *RUNBOOKS.values()])
    blocks = re.findall(r"```promql\n(.+?)\n```", text, re.DOTALL)
    return [query for block in blocks for query in block.splitlines()]


def documented() -> set[str]:
    """Return the metrics in the table of the operators' guide."""
    table = OPERATIONS[OPERATIONS.index("## Metrics") : OPERATIONS.index("## Traces")]
    cells = re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE)
    return {name for cell in cells for name in NAME.findall(cell)} - {"process_"}


async def exported(service: Service) -> set[str]:
    """Return the names of all samples that a running server shows."""
    shown = await service.ask_admin("/metrics")
    return {
        sample.name for family in text_string_to_metric_families(shown) for sample in family.samples
    }


async def test_looks_at_what_there_is(service: Service) -> None:
    """Every metric in a rule or in a query of the runbook is one that a running server exports."""
    used = set(NAME.findall("\n".join([RULES.partition("groups:")[2], *queries()])))

    assert {"grpc_server_handled_total", "patron_event_loop_lag_seconds_bucket"} < used
    elsewhere = OF_THE_SUPERVISOR | OF_THE_CONTROLLER | WITH_UNLEASH
    assert used - await exported(service) - elsewhere == set()


async def test_every_metric_is_documented(service: Service) -> None:
    """The guide tells of every metric of Patron, and of no other."""
    suffix = re.compile(r"_(bucket|count|sum)$")
    ours = {suffix.sub("", name) for name in await exported(service) if NAME.fullmatch(name)}
    ours = {name for name in ours if not name.startswith("process_")}

    assert documented() == ours | OF_THE_SUPERVISOR | OF_THE_CONTROLLER | WITH_UNLEASH


def test_every_alert_is_in_the_runbook() -> None:
    """Every alert has a severity, a summary and the address of its entry, and no entry is idle."""
    told = re.findall(
        r"- alert: (\w+)\n"
        r"(?: {8}(?:expr|for): .*\n| {10}.*\n)+"
        r" {8}labels:\n {10}severity: (?:page|ticket)\n"
        r' {8}annotations:\n {10}summary: ".+"\n {10}runbook: docs/(\w+)\.md#(\w+)\n',
        RULES,
    )
    entries = [
        (entry, page)
        for page, text in RUNBOOKS.items()
        for entry in re.findall(r"^### (Patron\w+)$", text, re.MULTILINE)
    ]

    assert [name for name, _, _ in told] == ALERTS
    assert [entry for _, _, entry in told] == [name.lower() for name in ALERTS]
    assert entries == [(name, page) for name, page, _ in told]


def test_every_alert_is_tested() -> None:
    """Of every alert the tests have a case in which it fires and one in which it doesn't."""
    tests = "".join(path.read_text() for path in FOLDER.glob("*_test.yml"))
    cases = re.findall(r"alertname: (\w+)\n +exp_alerts:( \[\])?\n", tests)

    assert {name for name, silent in cases if not silent} == set(ALERTS)
    assert {name for name, silent in cases if silent} == set(ALERTS)


@needs_promtool
@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "config", "prometheus.yml"),
        ("test", "rules", "rules_test.yml"),
        ("test", "rules", "objectives_test.yml"),
    ],
    ids=" ".join,
)
def test_promtool(arguments: tuple[str, ...]) -> None:
    """The configuration and the rules are sound, and alerts fire when their tests say so."""
    done = subprocess.run(
        ["promtool", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_queries_of_the_runbook(tmp_path: Path) -> None:
    """Every query of the runbook can be asked."""
    records = [
        f"      - record: query:{i}\n        expr: >-\n          {query}\n"
        for i, query in enumerate(queries())
    ]
    rules = tmp_path / "queries.yml"
    rules.write_text("groups:\n  - name: queries\n    rules:\n" + "".join(records))
    done = subprocess.run(
        ["promtool", "check", "rules", rules], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
