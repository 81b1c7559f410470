"""A worker's cache without the worker: what it would compute, a test says."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import time
from uuid import UUID

from domain.model.merchant import Revision
from server.answers import Computed, Key, Question
from server.cache.assembly import Cache, running_cache
from server.cache.invalidations import ReadRevision
from server.tasks import Background

EPOCH = "epoch"


async def _at_the_first(_merchant_id: UUID) -> Revision:
    return Revision(EPOCH, 1)


@asynccontextmanager
async def cache(
    redis_url: str,
    *,
    patience: float = 0.5,
    local_lifetime: float = 60.0,
    read_revision: ReadRevision = _at_the_first,
) -> AsyncIterator[Cache]:
    """Run a cache; every merchant is at revision 1 in the database unless told otherwise."""
    background = Background()
    async with (
        running_cache(
            redis_url,
            read_revision,
            background,
            patience=patience,
            local_lifetime=local_lifetime,
            local_capacity=1_000_000,
            observe_lag=lambda _: None,
        ) as running,
        background,
    ):
        yield running


def question(
    merchant_id: UUID, request: bytes, compute: Callable[[], Awaitable[tuple[bytes, int]]]
) -> Question:
    """Return a question that is answered by a body and the number of the revision it reflects."""

    async def computed() -> Computed:
        body, number = await compute()
        return Computed(body, Revision(EPOCH, number), time() + 300)

    return Question(Key(merchant_id, "/method", request), b"schema", 300, computed)


def constant(merchant_id: UUID, request: bytes, body: bytes, number: int = 1) -> Question:
    """Return a question that always has the same answer."""

    async def compute() -> tuple[bytes, int]:
        return body, number

    return question(merchant_id, request, compute)


def is_hit(trailers: tuple[tuple[str, str], ...]) -> bool:
    """Return whether an answer was kept, by what is told beside it."""
    return ("patron-cache", "hit") in trailers
