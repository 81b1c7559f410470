"""Reports are written as ghz writes them, and every format can be read by its own parser."""

import csv
import json
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from load.errors import ConfigError
from load.report.formats import FORMATS, render
from load.report.reading import read_report
from tests.support.ghz_reports import CURRENT, NAMED, OLD, PRINTED, printed

# What ghz prints in these two has an error with a quote in it, and cannot be parsed.
_QUOTED = [(NAMED["unreachable"], "csv"), (NAMED["unreachable"], "influx-details")]
_LABEL = re.compile(r'\w+="(?:[^"\\]|\\.)*"')
_KEY = r"(?:[^ ,=\\]|\\.)+"
_LINE = re.compile(
    rf"""(?P<measurement>{_KEY})(?P<tags>(,{_KEY}={_KEY})*)
    [ ](?P<fields>{_KEY}=("(?:[^"\\]|\\.)*"|[\d.]+)(,{_KEY}=("(?:[^"\\]|\\.)*"|[\d.]+))*)
    [ ](?P<at>-?\d+)""",
    re.VERBOSE,
)


def _text(path: Path, form: str) -> str:
    return "".join(render(read_report(path), form))


def _with_sorted_labels(text: str) -> str:
    return re.sub(
        r"\{(.*)\} ", lambda found: f"{{{','.join(sorted(_LABEL.findall(found[1])))}}} ", text
    )


@pytest.mark.parametrize(
    "path, form",
    [each for each in PRINTED if each not in _QUOTED],
    ids=lambda each: each.stem if isinstance(each, Path) else each,
)
def test_as_ghz_prints_it(path: Path, form: str) -> None:
    """To the byte, apart from the order of labels, which is random there."""
    ours, theirs = _text(path, form), printed(path, form)

    if form == "prometheus":
        ours, theirs = _with_sorted_labels(ours), _with_sorted_labels(theirs)
    assert ours == theirs


def test_quotes_in_csv() -> None:
    """A text with a quote is quoted, so that it is one field."""
    lines = printed(NAMED["unreachable"], "csv").splitlines()[2:]

    rows = list(csv.reader(_text(NAMED["unreachable"], "csv").splitlines()[2:], strict=True))

    assert rows == [line.split(",", 2) for line in lines]
    assert '"' in rows[0][2]


def test_quotes_in_fields() -> None:
    """A quote in a field of InfluxDB is escaped; else it is as ghz prints it."""
    ours, theirs = (
        text.replace(r"\"", '"')
        for text in (
            _text(NAMED["unreachable"], "influx-details"),
            printed(NAMED["unreachable"], "influx-details"),
        )
    )

    assert ours == theirs
    assert not all(
        map(_LINE.fullmatch, printed(NAMED["unreachable"], "influx-details").split("\n"))
    )


@pytest.mark.parametrize("path", [*CURRENT, *OLD], ids=lambda path: path.stem)
def test_every_format_can_be_parsed(path: Path) -> None:
    """Each by the parser that it is meant for, with a value for every call."""
    report = read_report(path)
    calls = len(report.details or ())

    for form in ("json", "pretty"):
        assert json.loads(_text(path, form))["count"] == report.count
    empty, header, *rows = csv.reader(_text(path, "csv").splitlines(), strict=True)
    assert (empty, header) == ([], ["duration (ms)", "status", "error"])
    assert [len(row) for row in rows] == [3] * calls
    assert _LINE.fullmatch(_text(path, "influx-summary"))
    lines = _text(path, "influx-details").splitlines()
    assert len(lines) == calls
    assert all(map(_LINE.fullmatch, lines))
    samples = {
        (sample.name, sample.labels.get("le")): sample.value
        for family in text_string_to_metric_families(_text(path, "prometheus"))
        for sample in family.samples
    }
    assert samples["ghz_run_count", None] == report.count
    assert samples["ghz_run_histogram_bucket", "+Inf"] == report.count
    assert "Summary:" in _text(path, "summary")


def test_texts_that_end_lines() -> None:
    """No end of line in an option breaks the line of a run."""
    report = read_report(NAMED["awkward"])

    text = "".join(render(report, "influx-summary"))

    assert "\n" not in text
    assert _LINE.fullmatch(text)


def test_unknown_format() -> None:
    """A format that there is not is named, with those that there are."""
    with pytest.raises(ConfigError, match=r"format.*'yaml'.*summary, csv, json") as raised:
        render(read_report(NAMED["errors"]), "yaml")

    assert all(name in str(raised.value) for name in FORMATS)
