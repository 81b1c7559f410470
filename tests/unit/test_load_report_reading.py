"""Saved reports are read, ghz's of any year too; whatever is none is refused in one line."""

import json
from pathlib import Path

import pytest

from load.errors import ReportError
from load.report.formats import render
from load.report.options import of_report
from load.report.reading import read_report
from tests.support.ghz_reports import CURRENT, NAMED, OLD


@pytest.mark.parametrize("form", ["json", "pretty"])
@pytest.mark.parametrize("path", CURRENT, ids=lambda path: path.stem)
def test_what_was_written_is_read(path: Path, form: str, tmp_path: Path) -> None:
    """Written and read again, it is the same report."""
    report = read_report(path)
    copy = tmp_path / "copy.json"
    copy.write_text("".join(render(report, form)), encoding="utf-8")

    assert read_report(copy) == report


@pytest.mark.parametrize("path", OLD, ids=lambda path: path.stem)
def test_old_names_of_options(path: Path) -> None:
    """Options of 2018 have their present names, and lose nothing."""
    old = json.loads(path.read_text(encoding="utf-8"))["options"]

    report = read_report(path)

    options = of_report(report.options)
    assert (options.total, options.concurrency) == (old["n"], old["c"])
    assert options.dial_timeout == old["dialTimeout"]
    assert sorted(map(str, report.options.values())) == sorted(map(str, old.values()))
    assert report.patron is None


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "truncated"),
        ("[1, 2]", "got `array`"),
        ("Summary:\n", "malformed"),
        ('{"date": "2026-01-01T00:00:00Z"}', "missing required field `options`"),
        (b"\xff\xfe", "malformed"),
    ],
)
def test_other_files(text: str | bytes, reason: str, tmp_path: Path) -> None:
    """Another file is refused with its name and the reason."""
    path = tmp_path / "other.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())

    with pytest.raises(ReportError, match=f"(?s)other.json is no report.*{reason}"):
        read_report(path)


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"count": "20"}, r"Expected `int`, got `str`.*\$\.count"),
        ({"date": "yesterday"}, r"matching regex.*\$\.date"),
        ({"date": "2026-02-30T00:00:00Z"}, "2026-02-30"),
        ({"options": {"timeout": "20s"}}, r"options.*Expected `int`, got `str`.*timeout"),
        ({"details": [{"timestamp": "2026-01-01T00:00:00Z"}]}, r"missing.*`latency`.*details"),
        ({"patron": {}}, r"missing.*\$\.patron"),
    ],
)
def test_wrong_values(changes: dict[str, object], reason: str, tmp_path: Path) -> None:
    """A value of a wrong type is refused with the place that it stands at."""
    path = tmp_path / "wrong.json"
    report = json.loads(NAMED["errors"].read_text(encoding="utf-8"))
    path.write_text(json.dumps(report | changes), encoding="utf-8")

    with pytest.raises(ReportError, match=reason):
        read_report(path)


def test_cut_off(tmp_path: Path) -> None:
    """A report that a full disk cut off is refused, wherever that was."""
    whole = NAMED["errors"].read_bytes()
    path = tmp_path / "cut.json"

    for length in range(0, len(whole) - 1, 97):
        path.write_bytes(whole[:length])
        with pytest.raises(ReportError, match=r"cut\.json is no report"):
            read_report(path)


def test_no_file(tmp_path: Path) -> None:
    """A folder, or nothing at all, is said to be that."""
    with pytest.raises(ReportError, match="Is a directory"):
        read_report(tmp_path)
    with pytest.raises(ReportError, match=r"none\.json: No such file"):
        read_report(tmp_path / "none.json")
