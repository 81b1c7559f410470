"""Numbers, axes and parts of a run, as reports show them."""

import xml.etree.ElementTree as ET

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from load.report import latencies
from load.report.formats.page.scales import (
    Scale,
    count_scale,
    latency_scale,
    percentile_scale,
    time_scale,
)
from load.report.overtime import over_time
from load.report.wording import duration, durations, number, percent, shortened, visible
from tests.support.load_reports import MS, Made, S, clock_of, report_of


@pytest.mark.parametrize(
    "nanoseconds, text",
    [
        (0, "0 ms"),
        (7, "7 ns"),
        (999_960, "1.00 ms"),
        (2_314_000, "2.31 ms"),
        (999_600_000, "1.00 s"),
        (59_960_000_000, "60.0 s"),
        (119_000_000_000, "119 s"),
        (125_400_000_000, "2 min 5 s"),
        (7_380_000_000_000, "2 h 3 min"),
    ],
)
def test_times_have_three_digits_and_a_unit(nanoseconds: int, text: str) -> None:
    """A time is told in the unit that it is at least one of, once it is rounded."""
    assert duration(nanoseconds) == text


def test_times_close_together_are_told_apart() -> None:
    """As many digits are shown as make different times differ."""
    assert durations([250_100_000, 250_240_000, 250_380_000]) == [
        "250.1 ms",
        "250.2 ms",
        "250.4 ms",
    ]


@pytest.mark.parametrize(
    "share, text",
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.000001, "< 0.001 %"),
        (0.999999, "> 99.9 %"),
        (0.00467, "0.467 %"),
        (0.904, "90.4 %"),
    ],
)
def test_only_none_is_0_and_only_all_is_100_per_cent(share: float, text: str) -> None:
    """A single failed call of a million is not rounded away."""
    assert percent(share) == text


def test_numbers_have_thousands_apart_or_three_digits() -> None:
    """Whole numbers are told in full."""
    assert [number(value) for value in (1_234_567, 1156.337, 9.937, 0.05)] == [
        "1,234,567",
        "1,156",
        "9.94",
        "0.0500",
    ]


@settings(max_examples=30)
@given(st.text(max_size=20))
def test_a_visible_text_can_stand_in_any_xml(text: str) -> None:
    """Controls, halves of pairs and what steers the direction are shown as escapes."""
    shown = visible(f"{text}\x00\ud800\u202e\ufffe")
    assert shown.endswith("\\x00\\ud800\\u202e\\ufffe")
    element = ET.Element("a")
    element.text = shown
    assert ET.fromstring(ET.tostring(element, encoding="utf-8")).text == shown  # noqa: S314


def test_a_shortened_text_says_so() -> None:
    """What is cut ends with a sign, within the limit."""
    assert (shortened("abcdef", 6), shortened("abcdefg", 6)) == ("abcdef", "abcde…")


def _is_sound(scale: Scale) -> None:
    places = [tick.at for tick in scale.ticks]
    assert 2 <= len(places) <= 12
    assert places == sorted(places)
    assert all(-0.01 <= place <= 100.01 for place in places)
    labels = [tick.label for tick in scale.ticks]
    assert len(set(labels)) == len(labels)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 10**14), max_size=5), st.floats(1e-9, 1e7), st.floats(0, 1e9))
def test_axes_have_few_different_names_in_order(
    times: list[int], seconds: float, count: float
) -> None:
    """Whatever is shown, an axis has 2 to 12 ticks, all named differently, and reaches it."""
    latency = latency_scale(times)
    for scale in (latency, time_scale(seconds), count_scale(count), percentile_scale(4)):
        _is_sound(scale)
    assert max(times, default=0) <= latency.high * (1 + 1e-9)
    assert count <= count_scale(count).high * (1 + 1e-9)


def test_axes_are_named_as_people_do() -> None:
    """Steps are round, and in one unit."""

    def labels(scale: Scale) -> list[str]:
        return [tick.label for tick in scale.ticks]

    assert labels(time_scale(170)) == ["0 s", "30 s", "60 s", "90 s", "120 s", "150 s"]
    assert labels(time_scale(600)) == ["0 min", "2 min", "4 min", "6 min", "8 min", "10 min"]
    assert labels(latency_scale([MS, 2.1 * MS])) == [
        *("0 ms", "0.5 ms", "1 ms", "1.5 ms", "2 ms", "2.5 ms"),
    ]
    assert labels(latency_scale([2 * MS, 3 * S])) == ["10 ms", "100 ms", "1 s"]
    assert labels(percentile_scale(3)) == ["p0", "p50", "p90", "p99", "p99.9"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1_000, 3000 * S), min_size=1, max_size=40), st.floats(0.01, 1))
def test_an_hdr_histogram_gives_times_within_a_thousandth(times: list[int], share: float) -> None:
    """What is read from a report's histogram is what was counted, by nearest rank."""
    found = latencies.of_clock(clock_of(times))
    exact = int(np.quantile(times, share, method="inverted_cdf"))
    assert found.count == len(times)
    assert abs(found.at(share) - exact) <= max(exact / 1000, 1000)
    assert found.at_most(found.at(share)) >= share * len(times) - 1e-6


def test_calls_one_by_one_make_parts_of_a_run() -> None:
    """Reports of ghz have no timeline: their calls are put into parts of a round length."""
    made = [Made(0, 10 * MS, 0, error="no" if index % 20 == 0 else "") for index in range(200)]
    report = report_of(made, seconds=1)
    details = [
        msgspec.structs.replace(detail, timestamp=f"2018-12-30T16:50:13.{index:03d}5-04:00")
        for index, detail in enumerate(report.details or ())
    ]
    run = over_time(msgspec.structs.replace(report, details=details, patron=None))
    assert run
    assert run.length == pytest.approx(0.02)
    assert sum(part.count for part in run.parts) == 200
    assert sum(part.errors for part in run.parts) == 10
    assert run.end == pytest.approx(0.209)
    assert run.parts[1].service == {"p50": 10 * MS, "p95": 10 * MS, "p99": 10 * MS, "max": 10 * MS}
