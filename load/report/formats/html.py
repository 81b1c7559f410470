"""A page for people, in one file that needs no network and runs no script."""

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from load.report.figures import finding
from load.report.formats.page.contents import contents
from load.report.formats.page.scales import round_time
from load.report.model import Report
from load.report.wording import duration, durations, number, percent, shortened, visible

_PAGE: Final = "load.report.formats.page"
_NS_PER_S: Final = 1_000_000_000


def render(report: Report) -> Iterator[str]:
    """Yield the page, bit by bit.

    It says by a Content-Security-Policy that nothing may be loaded, and nothing run.

    Raises:
        ReportError: A histogram of the report cannot be read.
    """
    style = files(_PAGE).joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    shown = contents(report)
    return (
        _environment().get_template("page.html").generate(**shown, style=style, style_digest=digest)
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("load.report.formats", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        duration=duration,
        durations=durations,
        finding=finding,
        number=number,
        nanoseconds=_nanoseconds,
        percent=percent,
        round_time=round_time,
        shortened=shortened,
    )
    return environment


def _shown(value: Any) -> Any:  # noqa: ANN401 - whatever a template prints.
    # Not what is markup already: a str of its own kind.
    return visible(value) if type(value) is str else value


def _nanoseconds(seconds: float) -> float:
    return seconds * _NS_PER_S
