"""`make load`: the load of a scenario on a server of its own, which is full of merchants."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from load.report.figures import shown_options
from load.report.formats import render
from load.report.model import Report
from load.report.reading import read_report
from tests.load.world import calls
from tests.load.world.databases import running_databases
from tests.load.world.errors import NotMeasured
from tests.load.world.merchants import World, fill
from tests.load.world.patron import serving
from tests.load.world.placement import Anywhere
from tests.load.world.places import BUILD, REPOSITORY
from tests.load.world.tokens import Tokens

_FOLDER: Final = BUILD / "load"
_ROWS: Final = _FOLDER / "merchants.jsonl"
_METADATA: Final = _FOLDER / "metadata.json"
_REPORT: Final = _FOLDER / "report.json"
_SCENARIO: Final = REPOSITORY / "load" / "configs" / "users.toml"
_COMMAND: Final = (sys.executable, "-m", "load.cli")
_SUMMARY_OF_A_JOB: Final = "GITHUB_STEP_SUMMARY"


@click.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--merchants",
    type=click.IntRange(10),
    default=len(calls.MERCHANTS),
    show_default=True,
    help="How many merchants there are.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def main(*, merchants: int, arguments: Sequence[str]) -> None:
    """Serve, call as a scenario says, and report on it in build/load.

    ARGUMENTS are those of patron-load: another --scenario, or a --config of ghz, which is given the
    token of a merchant. Without them 100 users call. The exit code is that of patron-load; that of
    make is then 2.
    """
    _REPORT.unlink(missing_ok=True)
    data_dir = _FOLDER / "data"
    shutil.rmtree(data_dir, ignore_errors=True)
    try:
        with (
            running_databases(data_dir) as databases,
            serving("patron", databases, Anywhere()) as patron,
        ):
            world = World(databases, Tokens(databases.data_dir))
            click.echo("Making the merchants", err=True)
            fill(world, patron.target, range(1, merchants + 1))
            given = _given(arguments, world.tokens, merchants)
            code = _run([*_COMMAND, "-O", "json", "-o", str(_REPORT), *given, patron.target])
    except NotMeasured as error:
        raise click.ClickException(str(error)) from error
    if _REPORT.exists():
        _show(_REPORT)
    sys.exit(code)


def _given(arguments: Sequence[str], tokens: Tokens, merchants: int) -> Sequence[str]:
    """Return the arguments, with what the merchants of this world are called by."""
    if _has(arguments, "--config"):
        token = tokens.of(calls.MERCHANTS[0])
        _write_secret(_METADATA, json.dumps({"authorization": f"Bearer {token}"}))
        return [*arguments, "--metadata-file", str(_METADATA)]
    rows = [_row(merchant, tokens) for merchant in range(1, merchants + 1)]
    _write_secret(_ROWS, "".join(json.dumps(row) + "\n" for row in rows))
    given = [*arguments, "--rows", f"merchants={_ROWS}"]
    return given if _has(arguments, "--scenario") else ["--scenario", str(_SCENARIO), *given]


def _has(arguments: Sequence[str], flag: str) -> bool:
    return any(each == flag or each.startswith(f"{flag}=") for each in arguments)


def _row(merchant: int, tokens: Tokens) -> dict[str, Any]:
    period = calls.get_summary().period
    return {
        "token": tokens.of(merchant),
        "customers": [str(calls.customer_id(merchant, each)) for each in calls.CUSTOMERS],
        "from_day": period.from_day,
        "to_day": period.to_day,
    }


def _write_secret(path: Path, text: str) -> None:
    """Write a file that nobody else may read: there are tokens in it."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _run(command: Sequence[str]) -> int:
    """Run a command, and return its exit code; Ctrl-C is for it alone."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        # Until its secrets are gone, nobody else may read the report.
        return subprocess.run(command, cwd=REPOSITORY, check=False, umask=0o077).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _without_secrets(path: Path) -> Report:
    """Return a report, its file without the values of metadata: a job keeps it for everybody."""
    report = read_report(path)
    if report.options.get("metadata"):
        report = msgspec.structs.replace(report, options=shown_options(report))
        path.write_text("".join(render(report, "json")), encoding="utf-8")
    return report


def _show(path: Path) -> None:
    """Show a report, make a page of it, and in a job on GitHub its summary."""
    report = _without_secrets(path)
    page = path.with_suffix(".html")
    page.write_text("".join(render(report, "html")), encoding="utf-8")
    if summary := os.environ.get(_SUMMARY_OF_A_JOB):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.writelines(render(report, "github"))
    sys.stdout.writelines(render(report, "summary"))
    click.echo(f"The report: {page}", err=True)


if __name__ == "__main__":
    main(prog_name="make load")
