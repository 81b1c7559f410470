"""`patron merchant` and `patron db` on the embedded database."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from server.embedded import EmbeddedPostgres
from tests.support.command_line import databases, fails, succeeds

SHOP = ("--name", "Corner shop", "--currency", "inr", "--time-zone", "Asia/Kolkata")
REGION = ("--region", "in")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data directory whose PostgreSQL stays up from command to command."""
    directory = tmp_path_factory.mktemp("data")
    with EmbeddedPostgres(directory):
        yield directory


def test_a_merchant_is_created_and_changed(data: Path) -> None:
    """`merchant create` prints the new id, `merchant set` changes what it names."""
    place = ("--data-dir", data)
    merchant = succeeds("merchant", "create", *SHOP, *REGION, *place).strip()
    changed = succeeds(
        *("merchant", "set", merchant, *place, "--json"),
        *("--name", "Größter Laden", "--currency", "eur", "--time-zone", "Europe/Berlin"),
    )
    assert json.loads(changed) == {
        "id": merchant,
        "name": "Größter Laden",
        "currency": "EUR",
        "time_zone": "Europe/Berlin",
        "region": "IN",
    }
    assert succeeds("merchant", "set", merchant, "--region", "DE", *place).strip() == merchant


def test_the_same_merchant_may_be_created_again(data: Path) -> None:
    """With the same id and settings nothing changes; with others it is refused."""
    merchant = str(uuid4())
    create = ("merchant", "create", "--id", merchant, *SHOP, "--data-dir", data)
    assert succeeds(*create, *REGION).strip() == merchant
    assert json.loads(succeeds(*create, *REGION, "--json"))["region"] == "IN"
    assert fails(*create, "--region", "GB", status=1).startswith("Error: ")


def test_an_unknown_merchant_cannot_be_changed(data: Path) -> None:
    """`merchant set` creates nothing."""
    told = fails("merchant", "set", str(uuid4()), "--name", "A", "--data-dir", data, status=1)
    assert told.startswith("Error: ")


def test_one_merchant_is_rebuilt_and_an_unknown_one_refused(data: Path) -> None:
    """`db rebuild --merchant` does that one alone, and fails for a mistyped id."""
    merchant = succeeds("merchant", "create", *SHOP, *REGION, "--data-dir", data).strip()
    rebuild = ("db", "rebuild", "--data-dir", data, "--merchant")
    assert succeeds(*rebuild, merchant) == "1 merchant rebuilt.\n"
    unknown = str(uuid4())
    assert fails(*rebuild, unknown, status=1) == f"Error: there is no merchant {unknown}\n"


def test_migrating_again_changes_nothing(data: Path) -> None:
    """`db migrate` may be run at any time."""
    for _ in range(2):
        told = succeeds("db", "migrate", "--data-dir", data)
        assert told == "The schema is up to date.\n"


def test_commands_stop_the_database_that_they_start(tmp_path: Path) -> None:
    """On a new data directory a command brings the database up, and down again."""
    assert succeeds("db", "migrate", "--data-dir", tmp_path) == "The schema is up to date.\n"
    assert not databases(tmp_path)
    assert succeeds("db", "verify", "--data-dir", tmp_path) == "0 merchants verified.\n"
    assert not databases(tmp_path)
    assert succeeds("db", "rebuild", "--data-dir", tmp_path) == "0 merchants rebuilt.\n"


@pytest.mark.parametrize("command", ["verify", "rebuild"])
def test_a_directory_without_data_is_not_taken_for_a_sound_one(
    tmp_path: Path, command: str
) -> None:
    """What works on data says where there is none, and makes none."""
    empty = tmp_path / "empty"
    assert "there is no database in" in fails("db", command, "--data-dir", empty, status=1)
    assert not empty.exists()
