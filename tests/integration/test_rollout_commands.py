"""The commands that steer a rollout, on a real Unleash, PostgreSQL and Prometheus."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

import flags
from flags.rollout.controller import Controller
from flags.rollout.plan import load_plan
from flags.rollout.prometheus import PrometheusEvidence
from flags.rollout.prometheus_api import PrometheusApi
from flags.rollout.spool import Spool
from flags.rollout.unleash_admin import UnleashSwitch
from server.cli.rollout.exits import FAILS, HOLDS, UNREADABLE, UNSEEN
from server.embedded import EmbeddedPostgres
from server.storage.rollouts import PostgresRollouts
from tests.support.command_line import eventually, invoke
from tests.support.prometheus import Prometheus, needs_prometheus, prometheus, scraped
from tests.support.unleash import Unleash

pytestmark = needs_prometheus

NOWHERE = "127.0.0.1:1"
NO_DATABASE = {"PATRON_DATABASE_MAINTENANCE_URL": f"postgresql://nobody@{NOWHERE}/patron"}
NO_PROMETHEUS = {"PATRON_PROMETHEUS_URL": f"http://{NOWHERE}"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data directory whose PostgreSQL stays up from command to command."""
    directory = tmp_path_factory.mktemp("data")
    with EmbeddedPostgres(directory):
        yield directory


class Errors:
    """What a server tells of unexpected errors."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ["kind", "feature", "arm"]
        self._errors = Counter("patron_unexpected_errors", "x", labels, registry=self.registry)
        self._merchants = Gauge(
            "patron_unexpected_error_merchants", "x", labels, registry=self.registry
        )

    def reach(self, flag: str, kind: str, monitor: Prometheus) -> None:
        """Reach three merchants who have a feature, and wait until Prometheus knows."""
        self._errors.labels(kind, flag, "treatment").inc(3)
        self._merchants.labels(kind, flag, "treatment").set(3)
        labels = f'{{kind="{kind}",feature="{flag}"}}'
        query = f"patron_unexpected_errors_total{labels} and patron_unexpected_error_merchants"
        ask = PrometheusApi(monitor.url, patience=10).ask
        eventually(lambda: bool(ask(query, time.time())), timeout=20)


@pytest.fixture(scope="module")
def errors() -> Errors:
    """The errors of the server."""
    return Errors()


@pytest.fixture(scope="module")
def monitor(errors: Errors) -> Iterator[Prometheus]:
    """A Prometheus that scrapes a server, and knows of no calls."""
    with (
        scraped(errors.registry) as address,
        prometheus({"patron": [address]}) as monitor,
    ):
        monitor.wait_for_targets(1)
        yield monitor


@dataclass(frozen=True)
class Rollout:
    """A flag at 0 %, with a rollout file, and the commands for it."""

    flag: str
    unleash: Unleash
    data: Path
    variables: dict[str, str]

    def run(
        self, command: str, *options: str | Path, status: int = 0, **others: str
    ) -> tuple[str, str]:
        """Run a command; return what it prints, and what on stderr."""
        arguments = ("rollout", command, self.flag, "--data-dir", self.data, *options)
        outcome = invoke(*arguments, **{**self.variables, **others})
        assert outcome.exit_code == status, outcome.output
        return outcome.stdout, outcome.stderr

    def state(self, **others: str) -> dict[str, Any]:
        """Return what `status` tells programs, whatever its exit code is."""
        arguments = ("rollout", "status", self.flag, "--data-dir", self.data, "--json")
        outcome = invoke(*arguments, **{**self.variables, **others})
        [told] = json.loads(outcome.stdout)["rollouts"]
        return dict(told)

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return what the database has of this flag."""

        async def fetch() -> list[dict[str, Any]]:
            with EmbeddedPostgres(self.data) as urls:
                connection = await asyncpg.connect(urls.maintenance)
                try:
                    found = await connection.fetch(
                        f"SELECT * FROM {table} WHERE flag = $1 ORDER BY 2", self.flag
                    )
                finally:
                    await connection.close()
            return [dict(row) for row in found]

        return asyncio.run(fetch())

    def everything(self) -> Any:
        """Return all that a command could change."""
        return (
            self.unleash.strategies(self.flag),
            self.unleash.ask("GET", f"events/{self.flag}")["totalEvents"],
            self.rows("rollout"),
            self.rows("rollout_audit"),
            Spool(self.data).read(),
        )


@pytest.fixture
def rollout(unleash: Unleash, data: Path, monitor: Prometheus, tmp_path: Path) -> Rollout:
    """A flag at 0 % whose rollout was never started."""
    flag = unleash.new_flag()
    shipped = Path(flags.__file__).with_name("rollouts") / "customer-analytics.yaml"
    text = shipped.read_text().replace("customer-analytics", flag)
    (tmp_path / f"{flag}.yaml").write_text(text)
    settings = {f"PATRON_{name.upper()}": each for name, each in unleash.admin_settings.items()}
    places = {"PATRON_ROLLOUTS_DIR": str(tmp_path), "PATRON_PROMETHEUS_URL": monitor.url}
    return Rollout(flag, unleash, data, settings | places)


@pytest.fixture
def started(rollout: Rollout) -> Rollout:
    """The same, just started."""
    rollout.run("start", "--as", "ann")
    return rollout


def test_a_rollout_is_steered(rollout: Rollout) -> None:
    """From the start to the roll back, each command does what it says and is recorded."""
    for command in ("status", "watch"):
        assert "was never started" in rollout.run(command, status=1)[1]
    told, _ = rollout.run("start", "--as", "ann", "--reason", "the  time\nhas come")
    for fact in ("phase 1 of 3 at 10 %", "0 % → 10 %", "start by ann, 10 %: the time has come"):
        assert fact in told
    assert "50 % for at least 24 h" in told
    assert rollout.unleash.share(rollout.flag) == "10"

    told, _ = rollout.run("status", status=HOLDS)
    assert f"{rollout.flag}: NO-GO, HOLD; running, phase 1 of 3 at 10 %" in " ".join(told.split())
    for fact in ("error rate", "NOT JUDGED", "Queries", "increase(", "start by ann"):
        assert fact in told

    rollout.run("block", "--reason", "a holiday", "--as", "bob")
    assert "already: a holiday" in rollout.run("block", "--reason", "x", status=1)[1]
    assert "blocked    a holiday" in rollout.run("status", status=HOLDS)[0]
    assert "blocked" in rollout.run("advance", status=1)[1]
    assert "a holiday → no" in rollout.run("unblock")[0]

    assert "paused     no → yes" in rollout.run("pause")[0]
    assert "paused     yes" in rollout.run("status", status=HOLDS)[0]
    told, _ = rollout.run("resume")
    assert "paused     yes → no" in told
    assert "the phase begins anew, 48 h left at least" in told

    told, warning = rollout.run("advance", "--reason", "a demo")
    assert "Warning: the verdict is HOLD: error rate HOLD" in warning
    assert "10 % → 50 %" in told
    assert rollout.unleash.share(rollout.flag) == "50"

    told, _ = rollout.run(
        "rollback", "--as", "eve", "--reason", "it burns", "--wait", "0", status=UNSEEN
    )
    assert f"{rollout.flag}: 50 % → 10 %" in told
    assert rollout.unleash.share(rollout.flag) == "10"
    assert "NO-GO; stopped" in rollout.run("status", status=FAILS)[0]
    audit = [
        (row["action"], row["percent"], row["reason"]) for row in rollout.rows("rollout_audit")
    ]
    assert sorted(action for action, _, _ in audit) == [
        *("advance", "block", "pause", "resume", "roll back", "start", "unblock"),
    ]
    assert ("roll back", 10, "it burns") in audit
    [advance] = [reason for action, _, reason in audit if action == "advance"]
    assert advance.startswith("a demo (although the verdict is HOLD: ")
    assert "is stopped" in rollout.run("pause", status=1)[1]


@pytest.mark.parametrize(
    "command,options",
    [
        ("start", ()),
        ("pause", ()),
        ("resume", ()),
        ("advance", ()),
        ("block", ("--reason", "x")),
        ("unblock", ()),
        ("rollback", ("--to", "3")),
    ],
)
def test_a_dry_run_changes_nothing(
    rollout: Rollout, command: str, options: tuple[str, ...]
) -> None:
    """It prints what the command would then do, and leaves Unleash and the database alone."""
    for before in _ways_to(command):
        rollout.run(before, *(("--reason", "r") if before == "block" else ()))
    was = rollout.everything()
    told, _ = rollout.run(command, *options, "--as", "ann", "--dry-run")
    assert told.startswith("Dry run, nothing is changed.")
    assert "by ann" in told
    planned = json.loads(rollout.run(command, *options, "--as", "ann", "--dry-run", "--json")[0])
    assert rollout.everything() == was

    status = UNSEEN if command == "rollback" else 0
    more = ("--wait", "0") if command == "rollback" else ()
    rollout.run(command, *options, *more, "--as", "ann", status=status)
    done = rollout.state()["state"]
    for name in ("status", "percent", "blocked", "paused"):
        assert done[name] == planned["state"][name]
    last = done["history"][-1]
    assert {**planned["entry"], "at": 0} == {**last, "at": 0}
    share = planned["share"]
    assert rollout.unleash.share(rollout.flag) == str(share["to"] if share else done["percent"])


def _ways_to(command: str) -> tuple[str, ...]:
    """Return the commands after which this one can be used."""
    if command == "start":
        return ()
    return ("start", *{"resume": ("pause",), "unblock": ("block",)}.get(command, ()))


def test_a_flag_that_cannot_be_moved_is_not_started(rollout: Rollout) -> None:
    """A flag that is off, or has two strategies, is refused, and nothing is saved."""
    rollout.unleash.disable(rollout.flag)
    assert "is off in Unleash" in rollout.run("start", status=1)[1]
    rollout.unleash.enable(rollout.flag)
    rollout.unleash.add_strategy(rollout.flag)
    assert rollout.flag in rollout.run("start", status=1)[1]
    assert not rollout.rows("rollout")


def test_a_persons_change_is_adopted(started: Rollout) -> None:
    """Someone has moved the flag: `advance` is refused, `resume` goes on from there."""
    started.unleash.set_share(started.flag, 60)
    told, _ = started.run("status", status=HOLDS)
    assert "somebody set 60 % instead of 10 %" in " ".join(told.split())
    assert "a person changed it" in started.run("advance", status=1)[1]
    assert "phase 2 of 3 at 60 %" in started.run("resume", "--as", "ann")[0]
    state = started.state()["state"]
    assert (state["percent"], state["phase"], state["status"]) == (60, 1, "running")
    assert started.unleash.share(started.flag) == "60"


def test_without_prometheus_nothing_is_go(started: Rollout) -> None:
    """A new rollout is refused; the status is that of the last look; a roll back works."""
    told, _ = started.run("status", status=UNREADABLE, **NO_PROMETHEUS)
    assert "NO-GO, a metric cannot be read" in told
    assert "Prometheus does not answer" in told
    told = started.run("rollback", status=UNSEEN, **NO_PROMETHEUS)[0]
    assert f"{started.flag}: 10 % → 0 %" in told
    assert "is not known: Prometheus does not answer" in told
    assert "within 17 s" in told
    assert started.unleash.share(started.flag) == "0"
    assert "Prometheus does not answer" in started.run("start", status=1, **NO_PROMETHEUS)[1]


def test_a_prometheus_that_scrapes_nobody_starts_nothing(rollout: Rollout) -> None:
    """Whoever starts a rollout learns at once that nobody watches it."""
    with prometheus({}) as idle:
        told = rollout.run("start", status=1, PATRON_PROMETHEUS_URL=idle.url)[1]
    assert "Prometheus knows of no server" in told
    assert not rollout.rows("rollout")


def test_which_errors_are_known(rollout: Rollout, errors: Errors, monitor: Prometheus) -> None:
    """Those from before, and of a rollout that completed; not of one that was rolled back."""
    flag = rollout.flag

    def known() -> list[str]:
        return list(rollout.state()["state"]["known_kinds"])

    errors.reach(flag, "OldError", monitor)
    rollout.run("start")
    assert known() == ["OldError"]

    errors.reach(flag, "NewError", monitor)
    rollout.run("rollback", "--wait", "0", status=UNSEEN)
    rollout.run("start")
    assert known() == ["OldError"]

    # The span that is asked for begins up to a second after the start.
    time.sleep(1)
    errors.reach(flag, "LastError", monitor)
    for _ in range(3):
        rollout.run("advance")
    assert rollout.state()["state"]["status"] == "completed"
    rollout.unleash.set_share(flag, 0)
    rollout.run("start")
    assert known() == ["LastError", "OldError"]


def test_without_the_database_the_record_waits(started: Rollout) -> None:
    """The flag goes down at once; the next command records it, once, as a stop of that time."""
    before = started.rows("rollout")
    options = ("--as", "eve", "--reason", "it burns", "--wait", "0", "--json")
    told, warning = started.run("rollback", *options, status=UNSEEN, **NO_DATABASE)
    assert started.unleash.share(started.flag) == "0"
    assert "the record waits in" in warning
    done = json.loads(told)
    assert done["recorded"] is False
    [owed] = [each for each in Spool(started.data).read() if each.flag == started.flag]
    assert started.rows("rollout") == before

    assert "Not yet recorded" in started.run("status", status=HOLDS)[1]
    told = started.run("pause", status=1)[1]
    assert "Recorded only now" in told
    assert "is stopped" in told
    state = started.state()["state"]
    assert (state["status"], state["percent"]) == ("stopped", 0)
    assert state["history"][-1] == done["entry"]
    assert state["phase_since"] == done["entry"]["at"]
    # Somebody who died before it was taken out of the file leaves it there.
    Spool(started.data).append(owed)
    started.run("start")
    assert [row["action"] for row in started.rows("rollout_audit")].count("roll back") == 1
    assert started.state()["state"]["status"] == "running"
    assert not [each for each in Spool(started.data).read() if each.flag == started.flag]


def test_the_controller_learns_of_it_first(started: Rollout, monitor: Prometheus) -> None:
    """A roll back that waits is a stop to the controller that comes back, no change by a person."""
    started.run("rollback", "--as", "eve", "--wait", "0", status=UNSEEN, **NO_DATABASE)
    plan = load_plan(Path(started.variables["PATRON_ROLLOUTS_DIR"], f"{started.flag}.yaml"))
    address = started.unleash.address

    async def look(url: str) -> None:
        async with PostgresRollouts.connect(url) as store:
            controller = Controller(
                plan,
                switch=UnleashSwitch(api=address.api, token=address.admin_token),
                evidence=PrometheusEvidence(plan, monitor.url),
                store=store,
                holder="test",
                report=lambda error, _: pytest.fail(str(error)),
                spool=Spool(started.data),
            )
            await controller.look()
            await store.drop_lease(plan.flag, "test")

    with EmbeddedPostgres(started.data) as urls:
        asyncio.run(look(urls.maintenance))
    state = started.state()["state"]
    assert state["status"] == "stopped"
    assert [entry["action"] for entry in state["history"]] == ["start", "roll back"]


def test_without_unleash_it_is_said_where_to_read_on(rollout: Rollout) -> None:
    """A roll back that cannot be done names what can; a missing address is told by each command."""
    url = f"http://{NOWHERE}"
    told = rollout.run("rollback", status=1, PATRON_UNLEASH_URL=f"{url}/api")[1]
    assert f"Unleash does not answer at {url}: connection refused. The workers keep" in told
    assert "docs/rollout.md, The rollback plan" in told
    del rollout.variables["PATRON_UNLEASH_URL"]
    for command in ("status", "rollback"):
        assert "it is where the flag is. In dev" in rollout.run(command, status=2)[1]


def test_a_lower_share_is_not_raised(started: Rollout) -> None:
    """Whoever rolls back wants down: a share that is lower than asked for stays."""
    started.unleash.set_share(started.flag, 4)
    told, _ = started.run("rollback", "--to", "50", "--wait", "0", status=UNSEEN)
    assert f"{started.flag}: stays at 4 %, no more than was asked for" in told
    assert started.unleash.share(started.flag) == "4"
    state = started.state()["state"]
    assert (state["status"], state["percent"]) == ("stopped", 4)


def test_the_workers_are_waited_for(started: Rollout) -> None:
    """With --targets it says when all have seen it, and exits with 0 only then."""
    registry = CollectorRegistry()
    share = Gauge("patron_feature_rollout_percent", "The share.", ["feature"], registry=registry)
    share.labels(started.flag).set(10)
    with scraped(registry) as address:
        options = ("--targets", f"{address},{NOWHERE}", "--wait", "0")
        told, progress = started.run("rollback", *options, status=UNSEEN)
        assert "0 of 2 workers have seen it; waiting for" in progress
        assert f"{address} (10 %), {NOWHERE} (says nothing)" in progress
        assert "not every worker" in told
        share.labels(started.flag).set(0)
        told, _ = started.run("rollback", "--targets", address)
        assert "Every worker lets in at most 0 %: 1 of them." in told
    del started.variables["PATRON_PROMETHEUS_URL"]
    assert "is not known: there are neither --targets" in started.run("rollback")[0]


def test_watching_ends_with_the_rollout(started: Rollout) -> None:
    """Without a terminal each look is a line; the last one is that it was stopped."""
    started.run("rollback", "--wait", "0", status=UNSEEN)
    told, _ = started.run("watch", "--every", "1s", status=FAILS)
    assert told.count("\n") == 1
    assert f"{started.flag} stopped; before the first phase at 0 %" in told


@pytest.mark.parametrize(
    "command,options,problem",
    [
        ("block", (), "Missing option '--reason'"),
        ("block", ("--reason", " "), "must not be empty"),
        ("pause", ("--as", " "), "must not be empty"),
        ("rollback", ("--targets", "here"), "'here' is not a host and a port"),
        ("rollback", ("--to", "101"), "101 is not in the range"),
    ],
)
def test_wrong_use_is_explained(
    rollout: Rollout, command: str, options: tuple[str, ...], problem: str
) -> None:
    """What is wrong with an option is said before anything is done."""
    assert problem in rollout.run(command, *options, status=2)[1]
