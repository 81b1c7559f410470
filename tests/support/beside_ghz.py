"""patron-load and the real ghz, asked for the same, one after the other, on the same server."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from click.testing import CliRunner

from load.cli import main
from tests.support.ghz import ghz
from tests.support.probe import Probe

_SECONDS: Final = 60
_FRACTIONS: Final = ("rps", "mark", "frequency")
"""They can be whole by chance."""
_NOT_OF_A_FEW: Final = 90
_LATE_THERE: Final = "desc = Deadline Exceeded"
_LATE: Final = "desc = context deadline exceeded"
_ADDRESSES: Final = re.compile(r"read tcp \S+->\S+: ")


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a command."""

    code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> Any:
        """The report, of which JSON was asked for."""
        assert self.code == 0, self.stderr
        return json.loads(self.stdout)


@dataclass(frozen=True, slots=True)
class Run:
    """A command, and what the server has seen of it, as a `TellReply`."""

    ran: Ran
    seen: Any


@dataclass(frozen=True, slots=True)
class Both:
    """The same, asked of both."""

    ours: Run
    theirs: Run


def patron_load(*arguments: str, stdin: str = "") -> Ran:
    """Run the command in this process; those that generate the load are others."""
    result = CliRunner().invoke(main, arguments, input=stdin)
    return Ran(result.exit_code, result.stdout, result.stderr)


def real_ghz(*arguments: str, stdin: str = "") -> Ran:
    """Run ghz; the test is skipped where there is none."""
    done = subprocess.run(
        [ghz(), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def both(probe: Probe, *arguments: str, stdin: str = "") -> Both:
    """Ask both for the same, on a server that has forgotten what was before."""
    asked = (*arguments, probe.target)
    probe.tell(forget=True)
    theirs = Run(real_ghz(*asked, stdin=stdin), probe.tell(forget=True))
    return Both(Run(patron_load(*asked, stdin=stdin), probe.tell(forget=True)), theirs)


def shape(value: Any, key: str = "") -> Any:
    """Return keys in their order and types, through and through; of a list, what is in it."""
    if isinstance(value, dict):
        return [(name, shape(item, name)) for name, item in value.items()]
    if isinstance(value, list):
        return sorted({json.dumps(shape(item)) for item in value})
    return "number" if key in _FRACTIONS else type(value).__name__


def comparable(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return a report as both should write it: without what only one of them can say.

    Our key is left out, and the addresses of a connection in its errors: in ghz each connection
    has an error of its own by them. A server in Python may say first that a call is late.
    """
    told = {key: value for key, value in report.items() if key != "patron"}
    errors: Counter[str] = Counter()
    for text, count in report["errorDistribution"].items():
        errors[_ADDRESSES.sub("", text).replace(_LATE_THERE, _LATE)] += count
    told["errorDistribution"] = dict(errors)
    return told


def requests(seen: Any) -> "Counter[tuple[str, str, tuple[tuple[str, str], ...]]]":
    """Return how often the server saw which method, first message and metadata, in any order."""
    return Counter(
        (
            each.method,
            str(each.request),
            tuple(sorted(item for item in each.metadata.items() if item[0] != "user-agent")),
        )
        for each in seen.seen
    )


def ended(seen: Any) -> Mapping[str, int]:
    """Return how often the server has ended which call how.

    When it hears of those that were cut off is a matter of luck.
    """
    return {what: count for what, count in seen.calls.items() if not what.endswith("CANCELLED")}


def percentiles(report: Mapping[str, Any]) -> Mapping[int, int]:
    """Return the percentiles of a report that are not of a few calls only, in nanoseconds."""
    return {
        each["percentage"]: each["latency"]
        for each in report["latencyDistribution"]
        if each["percentage"] <= _NOT_OF_A_FEW
    }
