"""The store of rollouts: one suite for the real one and for the one in memory."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from flags.rollout import phases
from flags.rollout.documents import DocumentUnreadable, from_document, to_document
from flags.rollout.evidence import Reading, Span
from flags.rollout.phases import Move
from flags.rollout.ports import RolloutStore, StateChanged, StoreUnreachable
from flags.rollout.state import Entry, Look, State
from flags.rollout.verdict import judge
from server.storage.rollouts import PostgresRollouts
from tests.support.rollout_ports import PLAN, MemoryRollouts, bad
from tests.support.service import Service


@pytest_asyncio.fixture(params=["postgres", "memory"], loop_scope="session")
async def store(request: pytest.FixtureRequest, service: Service) -> AsyncIterator[RolloutStore]:
    """Lend an empty store, or one with others' rollouts."""
    if request.param == "memory":
        yield MemoryRollouts(time.time)
        return
    async with PostgresRollouts.connect(service.urls.maintenance) as rollouts:
        yield rollouts


def started(flag: str | None = None) -> Move:
    """Return the start of a rollout of a new flag, with a look at it."""
    plan = replace(PLAN, flag=flag or f"flag-{uuid4()}")
    move = phases.start(
        plan,
        None,
        found=0,
        at=1e9 + 0.25,
        actor="anna",
        reason="it is ready",
        known_kinds=["KeyError"],
    )
    look = Look(2e9, judge(plan, bad(), ()), (Reading("a query", "an answer"),), None)
    return replace(move, state=replace(move.state, look=look, before=Span(1.5, 2)))


async def test_a_state_is_kept_whole(store: RolloutStore) -> None:
    """What was saved is loaded, with its version; what never was is None."""
    move = started()
    state = move.state
    assert await store.load(state.flag) is None

    version = await store.save(state, version=None, entries=(move.entry,))
    saved = await store.load(state.flag)
    assert saved
    assert (saved.state, saved.version) == (state, version)
    assert saved in await store.list()


async def test_the_states_are_listed_by_flag(store: RolloutStore) -> None:
    """Every rollout is in the list, in the order of the flags."""
    for _ in range(3):
        await store.save(started().state, version=None, entries=())
    flags = [saved.state.flag for saved in await store.list()]
    assert len(flags) >= 3
    assert flags == sorted(flags)


async def test_of_two_who_save_one_wins(store: RolloutStore) -> None:
    """A state is replaced only by whoever knows its version, and the loser records nothing."""
    move = started()
    state, flag = move.state, move.state.flag
    version = await store.save(state, version=None, entries=())
    with pytest.raises(StateChanged):
        await store.save(state, version=None, entries=())
    results = await asyncio.gather(
        *(
            store.save(replace(state, percent=percent), version=version, entries=())
            for percent in (20, 30)
        ),
        return_exceptions=True,
    )
    assert sorted(type(result).__name__ for result in results) == ["StateChanged", "int"]
    saved = await store.load(flag)
    assert saved
    assert saved.version != version
    with pytest.raises(StateChanged):
        await store.save(state, version=version, entries=())


async def test_a_lease_has_one_holder(store: RolloutStore) -> None:
    """It can be renewed, is free when it is over, and only its holder gives it back."""
    flag = f"flag-{uuid4()}"
    assert await store.take_lease(flag, "a", 60)
    assert await store.take_lease(flag, "a", 0.2)
    assert not await store.take_lease(flag, "b", 60)
    await store.drop_lease(flag, "b")
    assert not await store.take_lease(flag, "b", 60)
    await asyncio.sleep(0.3)
    assert await store.take_lease(flag, "b", 60)
    assert not await store.take_lease(flag, "a", 60)
    await store.drop_lease(flag, "b")
    assert await store.take_lease(flag, "a", 60)


async def test_of_many_who_want_the_lease_one_has_it(store: RolloutStore) -> None:
    """They may all ask at once."""
    flag = f"flag-{uuid4()}"
    taken = await asyncio.gather(*(store.take_lease(flag, str(i), 60) for i in range(8)))
    assert sum(taken) == 1


# What only the real one shows.


@pytest_asyncio.fixture(loop_scope="session")
async def database(service: Service) -> AsyncIterator[Any]:
    """Lend a connection of the serving role."""
    connection = await asyncpg.connect(service.urls.serving)
    yield connection
    await connection.close()


async def test_every_action_is_recorded_once(service: Service, database: Any) -> None:
    """With the state, or later and then without one; saying it again changes nothing."""
    move = started()
    flag = move.state.flag
    later = Entry(2e9, "roll back", "bob", 0, "the database was gone")
    async with PostgresRollouts.connect(service.urls.maintenance) as rollouts:
        await rollouts.save(move.state, version=None, entries=(move.entry,))
        for _ in range(2):
            await rollouts.record(flag, (move.entry, later))
    rows = await database.fetch(
        "SELECT actor, action, percent, reason, document ->> 'status' AS status "
        "FROM rollout_audit WHERE flag = $1 ORDER BY happened_at",
        flag,
    )
    assert [tuple(row) for row in rows] == [
        ("anna", "start", 10, "it is ready", "running"),
        ("bob", "roll back", 0, "the database was gone", None),
    ]


async def test_a_record_cannot_be_changed(service: Service) -> None:
    """Not even the maintenance role may; the serving role only reads."""
    for url, statements in {
        service.urls.maintenance: [
            "DELETE FROM rollout_audit",
            "UPDATE rollout_audit SET actor=''",
        ],
        service.urls.serving: ["DELETE FROM rollout", "SELECT FROM rollout_lease"],
    }.items():
        connection = await asyncpg.connect(url)
        for statement in statements:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
        await connection.close()


async def test_the_serving_role_shows_rollouts(service: Service) -> None:
    """A worker's page may list them, with the serving role."""
    state = started().state
    async with PostgresRollouts.connect(service.urls.maintenance) as rollouts:
        await rollouts.save(state, version=None, entries=())
    async with PostgresRollouts.connect(service.urls.serving) as rollouts:
        assert state in [saved.state for saved in await rollouts.list()]
        with pytest.raises(StoreUnreachable, match="permission denied"):
            await rollouts.take_lease(state.flag, "a", 1)


async def test_a_database_that_is_gone_or_old_is_told(service: Service) -> None:
    """Neither fails before the store is used, and the message says what to do."""
    nobody = "postgresql://patron_maintenance@127.0.0.1:1/patron"
    # It has no table of Patron's.
    old = service.urls.maintenance.replace("/patron?", "/postgres?")
    for url, words in ((nobody, "cannot connect"), (old, "patron db migrate")):
        async with PostgresRollouts.connect(url) as rollouts:
            with pytest.raises(StoreUnreachable, match=words):
                await rollouts.load("a-flag")


async def test_a_state_of_another_release_is_refused(service: Service) -> None:
    """Neither a newer shape nor an unknown field is read, lest saving it lose something."""
    state = started().state
    document = to_document(state)
    for damaged in (
        {**document, "version": 2},
        {**document, "more": 1},
        {**document, "percent": "ten"},
        {name: value for name, value in document.items() if name != "phase"},
    ):
        with pytest.raises(DocumentUnreadable):
            from_document(damaged)
    async with PostgresRollouts.connect(service.urls.maintenance) as rollouts:
        await rollouts.save(state, version=None, entries=())
        connection = await asyncpg.connect(service.urls.maintenance)
        await connection.execute(
            "UPDATE rollout SET document = document || '{\"version\": 2}' WHERE flag = $1",
            state.flag,
        )
        with pytest.raises(StoreUnreachable, match="its version is 2"):
            await rollouts.load(state.flag)
        await connection.execute("DELETE FROM rollout WHERE flag = $1", state.flag)
        await connection.close()


def test_a_document_keeps_a_state() -> None:
    """Every field survives, and the document is one that JSON takes."""
    state: State = started().state
    assert from_document(to_document(state)) == state
