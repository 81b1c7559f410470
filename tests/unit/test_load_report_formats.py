"""The formats of reports that ghz does not have, and its page."""

import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from load.errors import ReportError
from load.report.formats import FORMATS, render
from load.report.model import GateResult, Report
from load.report.reading import read_report
from load.report.wording import visible
from tests.support.load_reports import MS, Made, S, report_of, stalled_run

_GHZ_REPORTS: Final = sorted(
    (Path(__file__).parents[1] / "load" / "ghz" / "reports").glob("*.json")
)
_MIB: Final = 2**20

_texts = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("\x00\x07\x1b\x85\r\n\t\u2028\u202e\ufffe|`<>&\"'*_[]()#\\~@"),
    ),
    max_size=30,
)
_times = st.integers(1_000, 90 * S)
_GATES: Final = [
    GateResult(gate="p95<2s", outcome="pass", figure="31.2 ms", gap="1.97 s under"),
    GateResult(gate="p99<500ms", outcome="fail", figure="812 ms", gap="312 ms over"),
    GateResult(gate="error_rate<0.1%", outcome="inconclusive", figure="0 %", gap="2,400 of 3,000"),
    GateResult(gate="against", outcome="fail", figure="7 %", gap="2 % over", regression=True),
]


@st.composite
def _made(draw: st.DrawFn) -> Made:
    service, wait = draw(_times), draw(st.just(0) | _times)
    error = draw(st.just("") | _texts.map(lambda text: f"rpc error: {text}"))
    return Made(
        ended=draw(st.floats(0, 20)),
        service=service,
        response=service + wait,
        call=draw(st.sampled_from(["a.v1.A.Get", "a.v1.A.Put"])),
        error=error,
        status="Internal" if error else "OK",
        cache=draw(st.sampled_from(["", "hit", "\x00"])),
    )


@st.composite
def _reports(draw: st.DrawFn) -> Report:
    """Any report: of no calls, of failed calls alone, of ghz, without calls one by one."""
    report = report_of(
        draw(st.lists(_made(), max_size=12)),
        seconds=20,
        scheduled=draw(st.booleans()),
        gates=[
            GateResult(gate=draw(_texts), outcome=outcome, figure=draw(_texts), gap=draw(_texts))
            for outcome in draw(
                st.lists(st.sampled_from(["pass", "fail", "inconclusive"]), max_size=3)
            )
        ],
        warnings=draw(st.lists(_texts, max_size=2)),
        options={"data": draw(st.none() | _texts | st.lists(st.integers())), draw(_texts): 1},
        name=draw(_texts),
    )
    report = msgspec.structs.replace(
        report,
        tags=draw(st.none() | st.dictionaries(_texts, _texts, max_size=2)),
        end_reason=draw(st.sampled_from(["normal", "cancel", "timeout"])),
        details=report.details if draw(st.booleans()) else None,
    )
    return msgspec.structs.replace(report, patron=None) if draw(st.booleans()) else report


_any_report = given(_reports())
_few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _whole(report: Report, name: str) -> str:
    text = "".join(render(report, name))
    text.encode()
    return text


def _outcomes(report: Report) -> Sequence[str]:
    return [gate.outcome for gate in report.patron.gates] if report.patron else []


@pytest.mark.parametrize("name", FORMATS)
def test_a_report_without_options_has_every_form(name: str) -> None:
    """Where nothing says which server was called, as with locust, the calls are told."""
    assert _whole(msgspec.structs.replace(stalled_run(), options={}), name)


# OpenMetrics


def _families(text: str) -> Mapping[str, Metric]:
    read: Callable[[str], Iterable[Metric]] = text_string_to_metric_families
    return {family.name: family for family in read(text)}


def _total(families: Mapping[str, Metric], name: str, **labels: str) -> float:
    return sum(
        sample.value
        for sample in families[f"patron_load_{name}"].samples
        if sample.name.endswith("_total") and sample.labels.items() >= labels.items()
    )


@_few
@_any_report
def test_openmetrics_is_read_by_a_strict_parser(report: Report) -> None:
    """Whatever stands in a report, its counts and its texts come back from the strict parser."""
    families = _families(_whole(report, "openmetrics"))
    assert _total(families, "calls") == report.count
    assert _total(families, "failed_calls") == report.count - report.status_code_distribution.get(
        "OK", 0
    )
    for status, count in report.status_code_distribution.items():
        assert _total(families, "statuses", status=status) == count
    (run,) = families["patron_load_run"].samples
    assert run.labels["name"] == report.name
    if report.tags:
        tags = families["patron_load_tag"].samples
        assert {tag.labels["key"]: tag.labels["value"] for tag in tags} == report.tags
    if report.patron and report.patron.gates:
        gates = {gate.gate: gate.outcome for gate in report.patron.gates}
        true = [sample.labels for sample in families["patron_load_gate"].samples if sample.value]
        assert {labels["gate"]: labels["patron_load_gate"] for labels in true} == gates


def test_openmetrics_has_cumulative_buckets_in_seconds() -> None:
    """Each bucket counts the calls up to its bound, of each clock; units are seconds."""
    made = [Made(1, 2 * MS, 2 * MS), Made(2, 30 * MS, 3 * S), Made(3, 70 * S, 70 * S)]
    families = _families(_whole(report_of(made, seconds=4), "openmetrics"))
    latency = families["patron_load_latency_seconds"]
    assert latency.unit == "seconds"
    found = {
        (sample.labels["clock"], float(sample.labels["le"])): sample.value
        for sample in latency.samples
        if sample.name.endswith("_bucket")
    }
    inf = float("inf")
    assert [found["service", bound] for bound in (0.001, 0.0025, 0.05, 60.0, inf)] == [
        0,
        1,
        2,
        2,
        3,
    ]
    assert [found["response", bound] for bound in (0.0025, 0.05, 2.5, 5.0, inf)] == [1, 1, 1, 2, 3]
    sums = [sample for sample in latency.samples if sample.name.endswith("_sum")]
    assert sums[0].value == pytest.approx(70.032)


# JUnit


@_few
@_any_report
def test_junit_is_xml_with_a_test_for_each_gate(report: Report) -> None:
    """It parses, its counts are those of its cases, and what did not pass has failed."""
    (suite,) = ET.fromstring(_whole(report, "junit"))  # noqa: S314 - we have written it.
    cases = suite.findall("testcase")
    failures = [case for case in cases if case.find("failure") is not None]
    outcomes = _outcomes(report)
    assert int(suite.attrib["tests"]) == len(cases) == max(1, len(outcomes))
    assert int(suite.attrib["failures"]) == len(failures)
    assert len(failures) == sum(1 for outcome in outcomes if outcome != "pass")
    values = {item.attrib["name"]: item.attrib["value"] for item in suite.iter("property")}
    assert values["calls"] == str(report.count)


def test_junit_tells_figure_and_gap_of_what_failed() -> None:
    """The message of a failure is the figure and the gap, its type the kind of gate."""
    text = _whole(report_of([], seconds=1, gates=_GATES), "junit")
    failures = ET.fromstring(text).iter("failure")  # noqa: S314
    assert [(item.attrib["type"], item.attrib["message"]) for item in failures] == [
        ("threshold", "812 ms, 312 ms over"),
        ("inconclusive", "0 %, 2,400 of 3,000"),
        ("regression", "7 %, 2 % over"),
    ]


# GitHub


def _tables(text: str) -> Sequence[Sequence[Sequence[str]]]:
    """Return the cells of the tables of Markdown, as they are shown."""
    tables: list[list[list[str]]] = []
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            tables.append([])
        elif token.type == "tr_open":
            tables[-1].append([])
        elif token.type == "inline" and tables and token.level > 3:
            shown = [part.content for part in token.children or () if part.type != "html_inline"]
            tables[-1][-1].append("".join(shown))
    return tables


def _on_a_line(text: str) -> str:
    return " ".join(visible(text).split())


@_few
@_any_report
def test_github_shows_any_text_as_it_is(report: Report) -> None:
    """No text of a report is taken for Markdown or HTML: cells hold it, and tables stay whole."""
    text = _whole(report, "github")
    assert set(re.findall(r"<[^>]*>", text)) <= {
        "<code>", "</code>", "<details>", "</details>", "<summary>", "</summary>",
    }  # fmt: skip
    tables = _tables(text)
    assert all(len({len(row) for row in table}) == 1 for table in tables)
    gates = [
        [_on_a_line(gate.gate), _on_a_line(", ".join(filter(None, [gate.figure, gate.gap])))]
        for gate in (report.patron.gates if report.patron else ())
    ]
    if gates:
        assert [[row[0].strip(), row[2].strip()] for row in tables[0][1:]] == gates
    if report.error_distribution:
        shown = {row[1]: row[0] for row in tables[-1][1:]}
        assert all(
            shown[_on_a_line(error)] == f"{count:,}"
            for error, count in report.error_distribution.items()
        )


def test_github_takes_less_than_a_megabyte() -> None:
    """A report of thousands of long texts is cut, and says what is missing."""
    made = [
        Made(1, MS, MS, call=f"{number}|" * 200, error=f"{number}\x00|" * 500, status="Internal")
        for number in range(300)
    ]
    gates = [GateResult(gate="|" * 900, outcome="fail", figure="\x00" * 900, gap="`" * 900)] * 300
    report = report_of(
        made, seconds=2, gates=gates, warnings=["\u202e" * 5000] * 300, name="#" * 9000
    )
    text = _whole(report, "github")
    assert len(text.encode()) < _MIB
    assert "And 200 other gates." in text
    assert "And 250 other kinds of errors." in text


# The page


class _Checked(HTMLParser):
    """Reads a page; fails where elements are not closed in turn, or something is loaded or run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.shown: list[str] = []
        self.links: list[str] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "iframe", "object", "embed", "img")
        for name, value in attrs:
            assert not name.startswith("on")
            assert name != "style"
            if name in ("href", "src", "xlink:href"):
                assert value is not None
                self.links.append(value)
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.shown.append(data)


@_few
@_any_report
def test_the_page_shows_any_report(report: Report) -> None:
    """Whatever stands in a report, the page is whole, shows it as text, and loads nothing."""
    page = _Checked(_whole(report, "html"))
    shown = " ".join(page.shown)
    assert all(link.startswith("data:") for link in page.links)
    for text in (report.name, *report.error_distribution, *(report.tags or {}).values()):
        assert visible(text) in shown
    for gate in report.patron.gates if report.patron else ():
        assert visible(gate.gate) in shown
    outcomes = _outcomes(report)
    word = (
        "FAIL" if "fail" in outcomes else "INCONCLUSIVE" if "inconclusive" in outcomes else "PASS"
    )
    assert (word if outcomes else "NO GATES") in page.shown


def test_the_page_tells_of_both_clocks_and_each_call() -> None:
    """The figures of a run stand in it: percentiles of both clocks, calls, statuses, trailers."""
    report = stalled_run(gates=_GATES[:1])
    page = _Checked(_whole(report, "html"))
    shown = " ".join(" ".join(page.shown).split())
    assert "All 1 gates" not in shown
    assert "PASS The gate passed." in shown
    for text in ("6,000", "in 60.0 s", "p99.99", "Response time", "shop.v1.Orders.ListOrders"):
        assert text in shown
    assert "patron-cache hit 90" in shown
    assert "Bearer secret" not in "".join(page.shown) + "".join(page.links)


def test_a_damaged_histogram_is_said() -> None:
    """A report whose HdrHistogram cannot be read is refused in a line."""
    report = report_of([Made(1, MS, MS)], seconds=1)
    assert report.patron
    broken = msgspec.structs.replace(report.patron.service, histogram="HISTFAAAAB542m")
    extra = msgspec.structs.replace(report.patron, service=broken)
    with pytest.raises(ReportError, match="a histogram of the report is damaged"):
        _whole(msgspec.structs.replace(report, patron=extra), "html")


# ghz's own


@pytest.mark.parametrize("name", ["html", "openmetrics", "junit", "github"])
def test_reports_of_ghz_are_shown(name: str) -> None:
    """Reports that ghz wrote are told with their own figures."""
    assert _GHZ_REPORTS
    for path in _GHZ_REPORTS:
        report = read_report(path)
        text = _whole(report, name)
        rate = json.loads(path.read_bytes())["rps"]
        expected = {
            "html": f"<b>{rate:,.0f}</b>",
            "openmetrics": f"patron_load_calls_per_second {rate!r}\n",
            "junit": f'value="{rate:.3f}"',
            "github": f"| {rate:,.0f} |",
        }
        assert expected[name] in text
