"""`patron demo` on all the purchases, and `patron db verify` and `rebuild` after it."""

import asyncio
import json
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from server.cli.merchants import DEMO_MERCHANT_ID
from server.embedded import DataDirectory, EmbeddedPostgres
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
class Demo:
    """A demo that was killed half-way and run again."""

    data: Path
    before: int
    """How many bills there were after the kill."""
    figures: dict[str, Any]
    told: str
    """What the second run printed to stderr."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Run the demo, kill it in the midst of the import, and run it again on a running server."""
    data = tmp_path_factory.mktemp("demo") / "data"
    with started("demo", "--json", "--data-dir", data) as command:
        eventually(lambda: "of 69,659 bills imported" in command.errors, timeout=60)
        command.process.kill()
    # Its server is left alone, and stops.
    eventually(lambda: not databases(data))
    before = count_bills(data)
    with serving(data) as server:
        token = succeeds("token", "--merchant", str(DEMO_MERCHANT_ID), "--data-dir", data).strip()
        outcome = patron("demo", "--json", "--target", server.target, "--token", token, timeout=150)
    assert outcome.returncode == 0, outcome.stderr
    return Demo(data, before, json.loads(outcome.stdout.splitlines()[-1]), outcome.stderr)


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


def count_bills(data: Path) -> int:
    """Return how many bills there are."""
    return int(sql(data, "SELECT count(*) FROM bill"))


def test_an_interrupted_import_goes_on(demo: Demo) -> None:
    """What was imported before the kill is kept, in whole batches, and not imported again."""
    assert 0 < demo.before < 69_659
    assert demo.before % 500 == 0
    created = 69_659 - demo.before
    assert f"{created:,} bills imported, {demo.before:,} were there already" in demo.told


def test_the_figures_are_those_of_the_purchases(demo: Demo) -> None:
    """Customers, bills, sales, months and top customers are known of the data set."""
    figures = demo.figures
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


def test_the_tables_say_the_same(demo: Demo) -> None:
    """People read the figures in tables, with --json on stderr."""
    for figure in ("2,500,315.63 USD", "69,659", "23,570", "299,060.17", "07592", "13,990.93"):
        assert figure in demo.told


def test_a_second_demo_changes_nothing(demo: Demo) -> None:
    """On the server that it finds on the data directory, all is there and stays as it is."""
    with serving(demo.data) as server:
        revision = sql(demo.data, "SELECT revision FROM merchant")
        outcome = patron("demo", "--json", "--data-dir", demo.data, timeout=150)
        assert outcome.returncode == 0, outcome.stderr
        assert f"Using the server at {server.target}." in outcome.stderr
        assert "0 bills imported, 69,659 were there already" in outcome.stderr
        figures = json.loads(outcome.stdout)
        assert figures | {"seconds": 0} == demo.figures | {"seconds": 0}
        assert sql(demo.data, "SELECT revision FROM merchant") == revision
    assert count_bills(demo.data) == 69_659


def test_verify_finds_what_was_changed_by_hand_and_rebuild_mends_it(demo: Demo) -> None:
    """After a true verification one changed rollup is named; a rebuild makes all true again."""
    place = ("--data-dir", demo.data)
    assert succeeds("db", "verify", *place, timeout=100) == "1 merchant verified.\n"
    day = "UPDATE day_stats SET sales_minor = sales_minor + 1 WHERE day = '1997-01-05'"
    sales = sql(demo.data, f"{day} RETURNING sales_minor")
    outcome = patron("db", "verify", *place, timeout=100)
    assert outcome.returncode == 1
    [difference, count] = outcome.stdout.splitlines()
    assert difference == (
        f"merchant {DEMO_MERCHANT_ID}: day_stats (day 1997-01-05): sales_minor is {sales}, "
        f"recomputed {sales - 1}"
    )
    assert count == "1 difference in 1 merchant."
    rebuilt = succeeds("db", "rebuild", "--merchant", str(DEMO_MERCHANT_ID), *place, timeout=100)
    assert rebuilt == "1 merchant rebuilt.\n"
    assert succeeds("db", "verify", *place, timeout=100) == "1 merchant verified.\n"


def test_a_currency_with_bills_stays(demo: Demo) -> None:
    """The currency cannot change under the amounts of the bills; a time zone can."""
    change = ("merchant", "set", str(DEMO_MERCHANT_ID), "--data-dir", demo.data)
    told = fails(*change, "--currency", "EUR", status=1)
    assert "currency" in told
    succeeds(*change, "--name", "CDNOW")


def test_an_interrupted_demo_stops_its_server(tmp_path: Path) -> None:
    """Told to stop, the demo takes the server that it started with it."""
    data = tmp_path / "data"
    with started("demo", "--data-dir", data) as command:
        server = command.serves(data)
        command.process.send_signal(signal.SIGTERM)
        assert command.process.wait(timeout=30) == 128 + signal.SIGTERM, command.errors
    assert "Traceback" not in command.errors
    assert DataDirectory(data).running_server() is None
    assert not databases(data)
    assert server.pid != command.process.pid


def test_a_refused_token_is_told_with_its_reason(tmp_path: Path) -> None:
    """What the server refuses is one line with the reason."""
    with serving(tmp_path) as server:
        demo = ("demo", "--target", server.target, "--token")
        told = fails(*demo, "none", status=1)
        assert told.startswith("Error: UNAUTHENTICATED: ")
        assert "TOKEN_INVALID" in told
        stranger = ("token", "--merchant", "5b0c9b7e-8f0f-4a38-9d6a-0d0a3f7f6a01")
        told = fails(*demo, succeeds(*stranger, "--data-dir", tmp_path).strip(), status=1)
        assert "MERCHANT_UNKNOWN" in told
        merchant = ("--name", "A", "--currency", "EUR", "--time-zone", "UTC", "--region", "DE")
        other = succeeds("merchant", "create", *merchant, "--data-dir", tmp_path).strip()
        token = succeeds("token", "--merchant", other, "--data-dir", tmp_path).strip()
        told = fails(*demo, token, status=1)
        assert told == "Error: the purchases are in USD, the merchant's are in EUR\n"
