"""`patron-load report`: a saved report in another form."""

from pathlib import Path

import click

from load.cli.command import Command
from load.cli.options import flag_of
from load.cli.writing import write


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@flag_of("format")
@flag_of("output")
def report(file: Path, format: str | None, output: str | None) -> None:  # noqa: A002
    """Show a report that json or pretty has saved, by patron-load or by ghz, in another form."""
    from load.report.formats import render
    from load.report.reading import read_report

    write(render(read_report(file), format or "summary"), output or "")
