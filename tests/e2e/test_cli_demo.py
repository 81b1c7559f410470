"""`patron demo` on all the purchases, and `patron db verify` and `rebuild` after it."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from server.cli.merchants import DEMO_MERCHANT_ID
from server.embedded import DataDirectory, EmbeddedPostgres, RunningServer
from tests.support.command_line import (
    databases,
    eventually,
    fails,
    patron,
    serving,
    started,
    succeeds,
)

pytestmark = pytest.mark.timeout(240)


@dataclass
class Demos:
    """A demo that was killed half-way, run again, and then a third time."""

    data: Path
    killed: int
    """How many bills there were after the kill."""
    second: "subprocess.CompletedProcess[str]"
    revision: int
    """The merchant's, after the second run."""
    third: "subprocess.CompletedProcess[str]"
    server: RunningServer
    """The server of the second and the third run."""


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Demos:
    """Run the demo and kill it in the midst of the import; run it twice on a running server."""
    data = tmp_path_factory.mktemp("demo") / "data"
    with started("demo", "--json", "--data-dir", data, covered=False) as command:
        eventually(lambda: "of 69,659 bills imported" in command.errors, timeout=60)
        command.process.kill()
    # Its server is left alone, and stops.
    eventually(lambda: not databases(data))
    killed = sql(data, "SELECT count(*) FROM bill")
    with serving(data, covered=False) as server:
        token = succeeds("token", "--merchant", str(DEMO_MERCHANT_ID), "--data-dir", data).strip()
        given = ("--target", server.target, "--token", token)
        second = patron("demo", "--json", *given, timeout=150)
        revision = sql(data, "SELECT revision FROM merchant")
        third = patron("demo", "--json", "--data-dir", data, timeout=150)
    assert second.returncode == 0, second.stderr
    assert third.returncode == 0, third.stderr
    return Demos(data, killed, second, revision, third, server)


@pytest.fixture(scope="module")
def data(demos: Demos) -> Iterator[Path]:
    """The data directory of the demos, whose database stays up from command to command."""
    with EmbeddedPostgres(demos.data):
        yield demos.data


def sql(data: Path, statement: str) -> Any:
    """Run a statement as the superuser, whom no policy binds; return its first value."""

    async def work(url: str) -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    with EmbeddedPostgres(data) as urls:
        return asyncio.run(work(urls.owner.replace("patron_owner", "postgres")))


def test_an_interrupted_import_goes_on(demos: Demos) -> None:
    """What was imported before the kill is kept, in whole batches, and not imported again."""
    assert 0 < demos.killed < 69_659
    assert demos.killed % 500 == 0
    created = 69_659 - demos.killed
    told = demos.second.stderr
    assert f"{created:,} bills imported, {demos.killed:,} were there already" in told


def test_the_figures_are_those_of_the_purchases(demos: Demos) -> None:
    """Customers, bills, sales, months and top customers are known of the data set."""
    figures = json.loads(demos.second.stdout.splitlines()[-1])
    assert list(figures) == [
        *("customers", "bills", "sales_minor", "currency", "months", "top", "seconds")
    ]
    assert figures["customers"] == 23_570
    assert figures["bills"] == 69_659
    assert figures["sales_minor"] == 250_031_563
    assert figures["currency"] == "USD"
    assert figures["seconds"] > 0
    months = figures["months"]
    assert [month["month"] for month in months] == [
        *(f"1997-{number:02}" for number in range(1, 13)),
        *(f"1998-{number:02}" for number in range(1, 7)),
    ]
    assert months[0] == {
        "month": "1997-01",
        "bills": 8_928,
        "sales_minor": 29_906_017,
        "active_customers": 7_846,
    }
    assert sum(month["bills"] for month in months) == 69_659
    assert sum(month["sales_minor"] for month in months) == 250_031_563
    assert len(figures["top"]) == 5
    assert figures["top"][0] == {"external_id": "07592", "sales_minor": 1_399_093}


def test_the_tables_say_the_same(demos: Demos) -> None:
    """People read the figures in tables, with --json on stderr."""
    for figure in ("2,500,315.63 USD", "69,659", "23,570", "299,060.17", "07592", "13,990.93"):
        assert figure in demos.second.stderr


def test_another_demo_changes_nothing(demos: Demos, data: Path) -> None:
    """On the server that it finds on the data directory, all is there and stays as it is."""
    assert f"Using the server at {demos.server.target}." in demos.third.stderr
    assert "0 bills imported, 69,659 were there already" in demos.third.stderr
    second, third = (json.loads(run.stdout) for run in (demos.second, demos.third))
    assert third | {"seconds": 0} == second | {"seconds": 0}
    assert sql(data, "SELECT revision FROM merchant") == demos.revision
    assert sql(data, "SELECT count(*) FROM bill") == 69_659


def test_verify_finds_what_was_changed_by_hand_and_rebuild_mends_it(data: Path) -> None:
    """After a true verification one changed rollup is named; a rebuild makes all true again."""
    place = ("--data-dir", data)
    outcome = patron("db", "verify", *place, covered=False)
    assert (outcome.returncode, outcome.stdout) == (0, "1 merchant verified.\n"), outcome.stderr
    day = "UPDATE day_stats SET sales_minor = sales_minor + 1 WHERE day = '1997-01-05'"
    sales = sql(data, f"{day} RETURNING sales_minor")
    outcome = patron("db", "verify", *place, covered=False)
    assert outcome.returncode == 1
    assert outcome.stdout == (
        f"merchant {DEMO_MERCHANT_ID}: day_stats (day 1997-01-05): sales_minor is {sales}, "
        f"recomputed {sales - 1}\n"
        "1 difference in 1 merchant.\n"
    )
    rebuilt = succeeds("db", "rebuild", "--merchant", str(DEMO_MERCHANT_ID), *place)
    assert rebuilt == "1 merchant rebuilt.\n"
    kept = sql(data, "SELECT sales_minor FROM day_stats WHERE day = '1997-01-05'")
    assert kept == sales - 1


def test_a_currency_with_bills_stays(data: Path) -> None:
    """The currency cannot change under the amounts of the bills; other settings can."""
    change = ("merchant", "set", str(DEMO_MERCHANT_ID), "--data-dir", data)
    assert "currency" in fails(*change, "--currency", "EUR", status=1)
    succeeds(*change, "--name", "CDNOW")


def test_an_interrupted_demo_stops_its_server(data: Path) -> None:
    """Told to stop, the demo takes the server that it started with it."""
    with started("demo", "--data-dir", data) as command:
        server = command.serves(data)
        assert server.pid != command.process.pid
        command.process.send_signal(signal.SIGTERM)
        assert command.process.wait(timeout=30) == 128 + signal.SIGTERM, command.errors
        assert "Traceback" not in command.errors
    assert not psutil.pid_exists(server.pid)
    assert DataDirectory(data).running_server() is None


def test_a_server_that_does_not_start_is_explained(data: Path) -> None:
    """When the demo's server cannot start, its last words are told."""
    elsewhere = {"PATRON_ADMIN_HOST": "203.0.113.1"}
    outcome = patron("demo", "--data-dir", data, variables=elsewhere)
    assert outcome.returncode == 1
    assert outcome.stderr.startswith("Error: the server did not get ready:\n")
    assert "Cannot assign requested address" in outcome.stderr
    assert "Traceback" not in outcome.stderr
