"""The formats that a report is written in."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from load.errors import ConfigError
from load.report.formats import (
    csv_details,
    github,
    html,
    influx,
    json_report,
    junit,
    openmetrics,
    prometheus,
    summary,
)
from load.report.model import Report

Renderer: TypeAlias = Callable[[Report], Iterator[str]]
"""Gives the text piece by piece: a report can tell of a million calls."""

FORMATS: Final[Mapping[str, Renderer]] = {
    "summary": summary.render,
    "csv": csv_details.render,
    "json": json_report.render,
    "pretty": json_report.render_pretty,
    "html": html.render,
    "influx-summary": influx.render_summary,
    "influx-details": influx.render_details,
    "prometheus": prometheus.render,
    "openmetrics": openmetrics.render,
    "junit": junit.render,
    "github": github.render,
}
"""By the name that `--format` has for them."""


def render(report: Report, name: str) -> Iterator[str]:
    """Return a report in a format, piece by piece.

    Raises:
        ConfigError: There is no such format.
    """
    try:
        renderer = FORMATS[name]
    except KeyError:
        raise ConfigError(f"format: there is no {name!r}, but {', '.join(FORMATS)}") from None
    return renderer(report)
