"""`patron rollout run`, as a real process beside a database, without Unleash and Prometheus."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
import urllib3
import yaml

from flags.rollout import phases
from server.storage.rollouts import PostgresRollouts
from tests.support.command_line import REPOSITORY, Running, eventually, fails, started
from tests.support.prometheus import free_port
from tests.support.rollout_ports import FLAG, PLAN
from tests.support.sentry_sink import SentrySink
from tests.support.service import Service


@pytest.fixture
def flag(tmp_path: Path) -> str:
    """Return a flag of its own, whose rollout file asks every tenth of a second."""
    name = f"flag-{uuid4()}"
    plan = yaml.safe_load((REPOSITORY / f"flags/rollouts/{FLAG}.yaml").read_text())
    plan |= {"flag": name, "look_every": "0.1s"}
    plan["breaker"]["look_every"] = "0.1s"
    (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(plan))
    return name


@pytest.fixture
def variables(tmp_path: Path, service: Service) -> dict[str, str]:
    """Return what the controller is told; nobody answers for Unleash and Prometheus."""
    gone = f"http://127.0.0.1:{free_port()}"
    return {
        "PATRON_DATABASE_MAINTENANCE_URL": service.urls.maintenance,
        "PATRON_ROLLOUTS_DIR": str(tmp_path),
        "PATRON_UNLEASH_URL": f"{gone}/api",
        "PATRON_UNLEASH_ADMIN_TOKEN": "*:*.secret",
        "PATRON_PROMETHEUS_URL": gone,
        "PATRON_ROLLOUT_ADMIN_PORT": "0",
    }


def logged(running: Running, event: str) -> dict[str, object]:
    """Wait for a line of the log."""
    found: list[dict[str, object]] = []

    def there() -> bool:
        assert running.process.poll() is None, running.errors
        lines = [json.loads(line) for line in running.errors.splitlines() if line.endswith("}")]
        found[:] = [line for line in lines if line["event"] == event]
        return bool(found)

    eventually(there)
    return found[0]


class Observed:
    """What a controller says while it runs; asking blocks."""

    def __init__(self, flag: str, variables: dict[str, str]) -> None:
        with SentrySink() as sentry:
            variables = {**variables, "SENTRY_DSN": sentry.dsn}
            with started("rollout", "run", flag, variables=variables) as running:
                admin = logged(running, "controlling")["admin"]
                self.held = logged(running, "the rollout holds")
                self.metrics = urllib3.request("GET", f"http://{admin}/metrics").data.decode()
                self.health = urllib3.request("GET", f"http://{admin}/healthz")
                running.stop()
                self.log = running.errors
            self.event = sentry.wait_for_event()


async def test_it_says_what_keeps_it_from_its_work(
    flag: str, variables: dict[str, str], service: Service
) -> None:
    """In the log, to Sentry and in its metrics; it stays healthy, and stops when it is told."""
    plan = replace(PLAN, flag=flag)
    start = phases.start(plan, None, found=0, at=1e9, actor="a", reason="b", known_kinds=())
    async with PostgresRollouts.connect(service.urls.maintenance) as store:
        await store.save(start.state, version=None, entries=(start.entry,))
        observed = await asyncio.to_thread(Observed, flag, variables)
        # It gave its lease back.
        assert await store.take_lease(flag, "another", 1)
        saved = await store.load(flag)
    held, metrics = observed.held, observed.metrics
    assert (held["kind"], held["flag"], held["level"]) == ("SwitchUnreachable", flag, "error")
    assert f'patron_rollout_status{{flag="{flag}",status="running"}} 1.0' in metrics
    assert f'patron_rollout_actions_total{{action="start",flag="{flag}"}} 1.0' in metrics
    [since] = re.findall(r"^patron_rollout_hold_since\S+ (\S+)$", metrics, re.MULTILINE)
    assert float(since) > 1e9
    assert (observed.health.status, observed.health.json()["parts"]) == (200, {"database": "ok"})
    assert saved
    assert saved.state.look
    assert saved.state.look.verdict is None
    assert observed.event["tags"] == {"rollout": flag}
    assert "*:*.secret" not in observed.log


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda v: v.pop("PATRON_UNLEASH_URL"), "PATRON_UNLEASH_URL is required"),
        (lambda v: v.pop("PATRON_UNLEASH_ADMIN_TOKEN"), "PATRON_UNLEASH_ADMIN_TOKEN is required"),
        (lambda v: v.pop("PATRON_PROMETHEUS_URL"), "PATRON_PROMETHEUS_URL is required"),
    ],
    ids=["unleash", "token", "prometheus"],
)
def test_what_it_cannot_do_without(
    flag: str, variables: dict[str, str], change: Callable[[dict[str, str]], str], words: str
) -> None:
    """Without a setting that it needs it doesn't begin, and says which."""
    change(variables)
    assert words in fails("rollout", "run", flag, status=2, **variables)


def test_a_flag_without_a_rollout_file(variables: dict[str, str]) -> None:
    """It is told, with where the file should be; a name is no way out of the directory."""
    for name in ("nothing", "../nothing"):
        assert "has no rollout file" in fails("rollout", "run", name, status=1, **variables)
