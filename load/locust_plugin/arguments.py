"""What the plugin adds to the command line of locust."""

from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path

from load.errors import ConfigError
from load.gates.thresholds import parse_threshold
from load.report.formats import FORMATS


def add_arguments(parser: ArgumentParser) -> None:
    """Add them. Their values are texts: locust sends them to its workers."""
    group = parser.add_argument_group("Patron")
    group.add_argument(
        "--patron-report",
        metavar="FILE",
        type=_file,
        help="Where to write a report like that of patron-load when locust ends.",
    )
    group.add_argument(
        "--patron-report-format",
        metavar="FORMAT",
        choices=list(FORMATS),
        default="json",
        help=f"How it is written: {', '.join(FORMATS)}. Default: json.",
    )
    group.add_argument(
        "--threshold",
        metavar="LIMIT",
        type=_threshold,
        action="append",
        default=[],
        help="What must hold, such as 'p95<2s' or 'error_rate<0.1%%'; can be repeated. If it "
        "doesn't, the exit code is 99.",
    )


def _file(text: str) -> str:
    if not Path(text).parent.is_dir():
        raise ArgumentTypeError(f"{text}: there is no such folder")
    return text


def _threshold(text: str) -> str:
    try:
        parse_threshold(text)
    except ConfigError as error:
        raise ArgumentTypeError(str(error)) from None
    return text
