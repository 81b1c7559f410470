"""InfluxDB's line protocol: a line for the run, or one for each call.

Tags and fields are those of ghz. It writes some texts as they are, which gives lines that cannot
be read; here they are escaped where that is so.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final

from load.config.durations import format_duration
from load.report import go_json
from load.report.go_text import nanoseconds, number, seconds
from load.report.model import Report
from load.report.options import Options, of_report

_FIELDS_OF_PERCENTILES: Final[Mapping[float, str]] = {50: "median", 95: "p95"}


def render_summary(report: Report) -> Iterator[str]:
    """Return the line of the run, which has no end."""
    errors = sum(report.error_distribution.values())
    tags = [
        *_tags(report),
        f"errors={errors}",
        f"has_errors={'true' if errors else 'false'}",
    ]
    fields = [
        f"count={report.count}",
        f"total={report.total}",
        f"average={report.average}",
        f"fastest={report.fastest}",
        f"slowest={report.slowest}",
        f"rps={report.rps:4.2f}",
        *(
            f"{_FIELDS_OF_PERCENTILES[each.percentage]}={each.latency}"
            for each in report.latency_distribution or ()
            if each.percentage in _FIELDS_OF_PERCENTILES
        ),
        f"errors={errors}",
    ]
    at = max(nanoseconds(report.date), 0)
    yield f"ghz_run,{','.join(tags)} {','.join(fields)} {at}"


def render_details(report: Report) -> Iterator[str]:
    """Return a line for each call."""
    tags = ",".join(_tags(report))
    text = lru_cache(maxsize=256)(_field_text)
    for each in report.details or ():
        has_error = "true" if each.error else "false"
        yield (
            f"ghz_detail,{tags},hasError={has_error} latency={each.latency},"
            f"error={text(each.error)},status={text(each.status)} {nanoseconds(each.timestamp)}\n"
        )


def _tags(report: Report) -> Iterator[str]:
    options = of_report(report.options)
    if report.name:
        yield f"name={_tag_text(report.name.strip())}"
    if options.proto:
        yield f"proto={_tag_text(options.proto)}"
    elif options.protoset:
        yield f"Protoset={_tag_text(options.protoset)}"
    yield f"call={_tag_text(options.call)}"
    yield f"host={_tag_text(options.host)}"
    yield f"n={options.total}"
    yield from _concurrency(options)
    yield from _rate(options)
    yield f"z={options.duration}"
    yield f"timeout={number(seconds(options.timeout))}"
    yield f"dial_timeout={number(seconds(options.dial_timeout))}"
    yield f"keepalive={number(seconds(options.keepalive))}"
    yield f"data={_tag_json(options.data)}"
    yield f"metadata={_tag_json(options.metadata) if options.metadata is not None else _NOTHING}"
    yield f"tags={_tag_json(report.tags) if report.tags else _NOTHING}"


_NOTHING: Final = '""'


def _concurrency(options: Options) -> Iterator[str]:
    if options.concurrency_schedule == "const":
        yield f"c={options.concurrency}"
        return
    yield f"concurrency-schedule={_escaped(options.concurrency_schedule)}"
    yield f"concurrency-start={options.concurrency_start}"
    yield f"concurrency-end={options.concurrency_end}"
    yield f"concurrency-step={options.concurrency_step}"
    yield f"concurrency-step-duration={format_duration(options.concurrency_step_duration)}"
    yield f"concurrency-max-duration={format_duration(options.concurrency_max_duration)}"


def _rate(options: Options) -> Iterator[str]:
    if options.load_schedule == "const":
        yield f"rps={options.rps}"
        return
    yield f"load-schedule={_escaped(options.load_schedule)}"
    yield f"load-start={options.load_start}"
    yield f"load-end={options.load_end}"
    yield f"load-step={options.load_step}"
    yield f"load-step-duration={format_duration(options.load_step_duration)}"
    yield f"load-max-duration={format_duration(options.load_max_duration)}"


def _tag_text(text: str) -> str:
    """Return the value of a tag; its quotes are part of it, as with ghz."""
    return f'"{_escaped(text)}"'


def _tag_json(value: object) -> str:
    return _escaped(go_json.string(go_json.encode(value)))


def _escaped(text: str) -> str:
    for character in (" ", ",", "="):
        text = text.replace(character, "\\" + character)
    # A tag goes to the end of its line at the latest.
    return text.replace("\n", "\\n")


def _field_text(text: str) -> str:
    """Return the text of a field: ghz escapes it as if it were a tag, and no quotes."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_escaped(quoted)}"'
