"""Feedback on features in PostgreSQL: the newest is kept, and who sends many counts no more."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import pytest_asyncio

from domain.errors import NotFoundError, Reason
from domain.model.caller import Caller
from domain.model.feature import Decision, DecisionReason
from domain.model.feedback import Opinion
from domain.model.request import RequestKey
from domain.use_cases.features import PEOPLE_COUNTED, GatedFeatures
from server.storage.database import Database
from server.storage.writer import PostgresWriter
from tests.support.drafts import FEATURE
from tests.support.round_trips import round_trips
from tests.support.service import Service


class Bench:
    """The use case on a database, with a clock, decisions and counts to look at."""

    def __init__(self, service: Service, database: Database) -> None:
        self.service = service
        self.database = database
        self.now = datetime(2026, 3, 10, 12, tzinfo=UTC)
        self.enabled = True
        self.counted: list[tuple[str, int, bool]] = []
        writer = PostgresWriter(database, lambda: self.now)
        self.features = GatedFeatures([FEATURE], self, writer, self, lambda: self.now)

    def decide(self, feature: str, caller: Caller) -> Decision:
        """Decide as told; a `domain.ports.Features`."""
        return Decision(self.enabled, DecisionReason.ROLLOUT)

    def count(self, feature: str, rating: int, *, treatment: bool) -> None:
        """Keep what is counted; a `domain.ports.Ratings`."""
        self.counted.append((feature, rating, treatment))

    async def caller(self, subject: str = "a-test") -> Caller:
        """Return a caller of a new merchant."""
        return Caller(
            await self.service.create_merchant(), subject, app_version="2.1.0", platform="ios"
        )

    async def rate(self, caller: Caller, rating: int, key: RequestKey | None = None) -> None:
        """Send feedback."""
        key = key or RequestKey(uuid4(), "a test's", b"")
        await self.features.rate(caller, key, Opinion(FEATURE, rating, "so-so"))


@pytest_asyncio.fixture(loop_scope="session")
async def bench(service: Service) -> AsyncIterator[Bench]:
    """A bench on the service's database."""
    async with Database.connect(service.urls.serving, pool_size=1, lock_timeout=5) as database:
        yield Bench(service, database)


async def test_the_newest_is_kept(bench: Bench) -> None:
    """Of a person one row is kept, with the client; the audit log has every one."""
    caller = await bench.caller()
    await bench.rate(caller, 2)
    bench.now += timedelta(minutes=1)
    await bench.rate(caller, 5)
    async with bench.service.database() as database:
        [row] = await database.fetch(
            "SELECT * FROM feedback WHERE merchant_id = $1", caller.merchant_id
        )
        audit = await database.fetch(
            "SELECT * FROM audit_log WHERE merchant_id = $1 ORDER BY revision", caller.merchant_id
        )

    assert (row["rating"], row["comment"], row["subject"]) == (5, "so-so", "a-test")
    assert (row["app_version"], row["platform"]) == ("2.1.0", "ios")
    assert (row["sent_at"], row["revision"]) == (bench.now, 2)
    assert [each["action"] for each in audit] == ["feedback.send"] * 2
    assert {each["resource_id"] for each in audit} == {row["feedback_id"]}
    assert json.loads(audit[1]["before"]) == json.loads(audit[0]["after"])


async def test_a_person_counts_once_a_day(bench: Bench) -> None:
    """The first rating counts, and the next one that is sent 24 hours later or more."""
    caller = await bench.caller()
    for rating, hours in ((1, 0), (2, 12), (3, 23.9), (4, 24), (5, 47)):
        bench.now = datetime(2026, 3, 10, 12, tzinfo=UTC) + timedelta(hours=hours)
        await bench.rate(caller, rating)

    assert bench.counted == [(FEATURE, 1, True), (FEATURE, 4, True)]


async def test_few_people_of_a_merchant_count(bench: Bench) -> None:
    """Many people of one merchant are no more than a few, until a day is over; others all count."""
    caller = await bench.caller()
    for number in range(2 * PEOPLE_COUNTED):
        await bench.rate(caller._replace(subject=f"person-{number}"), 1)
    assert bench.counted == [(FEATURE, 1, True)] * PEOPLE_COUNTED
    await bench.rate(await bench.caller(), 5)
    assert bench.counted[PEOPLE_COUNTED:] == [(FEATURE, 5, True)]

    bench.now += timedelta(hours=24)
    await bench.rate(caller._replace(subject=f"person-{PEOPLE_COUNTED}"), 2)
    assert bench.counted[PEOPLE_COUNTED + 1 :] == [(FEATURE, 2, True)]


async def test_a_replay_does_not_count(bench: Bench) -> None:
    """The same request again changes nothing, however late it comes."""
    caller, key = await bench.caller(), RequestKey(uuid4(), "a test's", b"")
    await bench.rate(caller, 4, key)
    bench.now += timedelta(days=2)
    await bench.rate(caller, 4, key)

    assert bench.counted == [(FEATURE, 4, True)]


async def test_many_at_once(bench: Bench) -> None:
    """Of what a person sends at the same time one counts."""
    caller = await bench.caller()
    await asyncio.gather(*(bench.rate(caller, 5) for _ in range(10)))

    assert bench.counted == [(FEATURE, 5, True)]


async def test_costs_as_much_as_other_writes(bench: Bench) -> None:
    """Feedback takes five round trips, whether it is the first or not, and a replay four."""
    # A connection looks up what it doesn't know yet.
    await bench.rate(await bench.caller(), 3)
    caller, key = await bench.caller(), RequestKey(uuid4(), "a test's", b"")
    for trips in (5, 4):
        assert await round_trips(bench.database, bench.rate(caller, 3, key)) == trips
    assert await round_trips(bench.database, bench.rate(caller, 4)) == 5


async def test_the_arm_is_that_at_the_beginning(bench: Bench) -> None:
    """A flag that changes while the feedback is written changes nothing: one decision a call."""

    def clock() -> datetime:
        bench.enabled = False
        return bench.now

    writer = PostgresWriter(bench.database, clock)
    features = GatedFeatures([FEATURE], bench, writer, bench, clock)
    key = RequestKey(uuid4(), "a test's", b"")
    await features.rate(await bench.caller(), key, Opinion(FEATURE, 2, ""))

    assert bench.counted == [(FEATURE, 2, True)]


async def test_the_arm_is_the_callers(bench: Bench) -> None:
    """A rating of a merchant that has not the feature counts as one of the control."""
    bench.enabled = False
    await bench.rate(await bench.caller(), 3)

    assert bench.counted == [(FEATURE, 3, False)]


async def test_unknown_feature(bench: Bench) -> None:
    """A feature that gates nothing cannot be rated."""
    key = RequestKey(uuid4(), "a test's", b"")
    with pytest.raises(NotFoundError) as refused:
        await bench.features.rate(await bench.caller(), key, Opinion("free-beer", 5, ""))

    assert refused.value.reason is Reason.FEATURE_NOT_FOUND
