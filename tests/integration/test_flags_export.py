"""`patron flags export`, and what starts from the file that it writes."""

import asyncio
import json
from pathlib import Path

import pytest

from flags.deciding.features import features_in
from flags.deciding.unleash import Unleash as UnleashServer
from flags.deciding.unleash import features_of
from server.main import running
from server.settings import Settings, SettingsError
from tests.support.command_line import eventually, fails, succeeds
from tests.support.flag_server import FlagServer
from tests.support.flags import let_in, merchants
from tests.support.unleash import Unleash


def test_exports(unleash: Unleash, tmp_path: Path) -> None:
    """What Unleash has is printed, or written to a file that decides as Unleash would."""
    flag = unleash.new_flag(percent=30)
    variables = {f"PATRON_{name.upper()}": value for name, value in unleash.settings.items()}
    file = tmp_path / "flags.json"
    file.write_text("what was there before")
    # It takes Unleash a moment to tell clients of an edit.
    eventually(lambda: flag in names(succeeds("flags", "export", **variables)))
    printed = succeeds("flags", "export", **variables)
    assert not succeeds("flags", "export", "--output", str(file), **variables)

    assert file.read_text() == printed
    features = features_in(file)
    assert features.share(flag) == 30
    assert len(let_in(features, flag, merchants(1000))) == pytest.approx(300, abs=60)


def names(printed: str) -> set[str]:
    """Return the flags of an export."""
    return {each["name"] for each in json.loads(printed)["features"]}


def test_needs_unleash() -> None:
    """Without an Unleash, or a token of it, the variable that is missing is named."""
    assert fails("flags", "export", status=2) == "Error: PATRON_UNLEASH_URL is required\n"
    told = fails("flags", "export", status=2, PATRON_UNLEASH_URL="http://localhost:4242/api")
    assert "PATRON_UNLEASH_TOKEN is required" in told


@pytest.mark.parametrize(
    "mischief, told",
    [
        ("html", "at {place} tells no flags: "),
        ("unauthorized", "at {place} answers with status 401, not 200"),
        ("hang up", "does not answer at {place}: it ended the connection"),
    ],
)
def test_writes_no_nonsense(tmp_path: Path, mischief: str, told: str) -> None:
    """Whatever is wrong with the answer, the file of before stays."""
    file = tmp_path / "flags.json"
    file.write_text("what was there before")
    with FlagServer() as server:
        server.mischief = mischief
        variables = {"PATRON_UNLEASH_URL": server.api, "PATRON_UNLEASH_TOKEN": "a-token"}
        error = fails("flags", "export", "--output", str(file), status=1, **variables)

    place = server.api.removesuffix("/api")
    assert error.startswith(f"Error: Unleash {told.format(place=place)}")
    assert file.read_text() == "what was there before"


def test_the_last_good_flags_will_do(tmp_path: Path) -> None:
    """Without Unleash it is said where a worker keeps flags that can be served from."""
    with FlagServer(percent=30) as server:
        url = server.api.replace("//", "//anna:secret@")
        file = tmp_path / "flags" / "worker-0.json"
        asyncio.run(keep_flags(server.api, file))
    error = fails(
        "flags",
        "export",
        status=1,
        PATRON_UNLEASH_URL=url,
        PATRON_UNLEASH_TOKEN="a-token",
        PATRON_DATA_DIR=str(tmp_path),
    )

    assert ": connection refused. " in error
    assert str(file.with_name("worker-N.json")) in error
    assert "secret" not in error
    assert features_in(file).share("customer-analytics") == 30
    told = json.loads(file.read_text())
    told["features"][0]["enabled"] = False
    file.write_text(json.dumps(told))
    assert features_in(file).share("customer-analytics") == 0


async def keep_flags(url: str, file: Path) -> None:
    """Have a worker keep what an Unleash tells."""
    unleash = UnleashServer(url=url, token="a-token", refresh_seconds=1, instance="a-test")
    async with features_of(unleash, last_good=file, bootstrap=None):
        pass


@pytest.mark.parametrize("variable", ["PATRON_FLAGS_FILE", "PATRON_FLAGS_BOOTSTRAP_FILE"])
async def test_a_file_without_flags_ends_the_start(tmp_path: Path, variable: str) -> None:
    """A file that holds no flags is named with its variable, before anything is connected."""
    file = tmp_path / "flags.json"
    file.write_text('{"features": "all"}')
    variables = {variable: str(file), "PATRON_UNLEASH_TOKEN": "a-token"}
    if variable == "PATRON_FLAGS_BOOTSTRAP_FILE":
        variables["PATRON_UNLEASH_URL"] = "http://127.0.0.1:9/api"
    settings = Settings.load(variables, data_dir=tmp_path)
    with pytest.raises(SettingsError, match=rf"^{variable} names .*, which tells no flags: "):
        async with running(settings):
            pass
