"""Which kinds of unexpected errors there are, and how many merchants each has reached.

A kind is the class of an exception. The merchants that it has reached are a set in Redis, one for
each arm of a rollout, so that a merchant counts once, whichever workers it met:

- `{unexpected-errors}:<feature>:<arm>:kinds`: the kinds, each with when it was seen last, in
  seconds since the epoch of Unix;
- `{unexpected-errors}:<feature>:<arm>:merchants:<kind>`: hashes of the merchants' ids.

Both are forgotten 30 days after the kind was seen last: what is new since a rollout began shows
only against what was there before. The keys have one hash tag, so that one command may use them all
on a cluster too.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias
from uuid import UUID

import structlog
from redis.asyncio import Redis

from server.call import find_arm, find_caller
from server.logs import Condition
from server.metrics.readings import Labels

OTHER: Final = "other"
"""The kind of what is not told apart any more; always there, so that no errors show as zero."""
MOST_KINDS: Final = 50
"""How many kinds of each arm a worker tells apart; what comes later is `OTHER`."""

_LONGEST_KIND: Final = 64
_MOST_MERCHANTS: Final = 1_000
"""How many merchants of each kind a worker remembers by itself."""
_LIFETIME: Final = 30 * 24 * 60 * 60
"""How many seconds a kind is remembered after it was seen last: longer than a rollout lasts."""
_INTERVAL: Final = 1.0
"""Seconds from one exchange with Redis to the next."""
_PATIENCE: Final = 2.0
"""How many seconds an exchange may take; no call waits for it."""

_Arm: TypeAlias = tuple[str, str]
_Key: TypeAlias = tuple[str, str, str]
"""The kind, the feature and the arm."""

_log = structlog.get_logger()


@dataclass(slots=True)
class _Kind:
    """What is known of one kind in one arm."""

    seen_at: float
    errors: int = 0
    """How many this worker has met."""
    merchants: set[bytes] = field(default_factory=set)
    """Those that this worker has met it with."""
    unsent: set[bytes] = field(default_factory=set)
    """Those that Redis is still to be told of."""
    shared: int = 0
    """How many merchants of all workers Redis knew when it was last asked."""


class ErrorKinds:
    """Counts unexpected errors by kind, and the merchants of each together with other workers.

    The event loop alone counts; any thread may read. While Redis is away, what it said last or what
    this worker has seen itself is a lower bound.
    """

    def __init__(
        self, redis: Redis, features: Iterable[str], *, clock: Callable[[], float] = time.time
    ) -> None:
        """Count nothing yet.

        Args:
            redis: Where the merchants are counted.
            features: The features whose arms other workers may have met errors in.
            clock: Tells the seconds since the epoch of Unix.
        """
        self._redis = redis
        self._clock = clock
        self._kinds: dict[_Key, _Kind] = {}
        self._arms: set[_Arm] = {("", "")}
        self._arms.update((name, arm) for name in features for arm in ("treatment", "control"))
        for arm in self._arms:
            self._kind(OTHER, arm)
        self._sharing = Condition(
            _log, fails="kinds of errors are not shared", works="kinds of errors are shared again"
        )

    def note(self, error: BaseException) -> None:
        """Count an error that the call which is being served has met; asks nobody."""
        found, caller = find_arm(), find_caller()
        arm = ("", "")
        if found is not None:
            arm = (found.feature, "treatment" if found.treatment else "control")
            self._arms.add(arm)
        kind = self._kind(type(error).__name__[:_LONGEST_KIND], arm)
        kind.errors += 1
        kind.seen_at = self._clock()
        if caller is not None and len(kind.unsent) < _MOST_MERCHANTS:
            merchant = _hash(caller.merchant_id)
            kind.unsent.add(merchant)
            if len(kind.merchants) < _MOST_MERCHANTS:
                kind.merchants.add(merchant)

    def errors(self) -> Mapping[Labels, float]:
        """Return how many errors of each kind, feature and arm this worker has met.

        A kind that only others have met is there with zero: Prometheus sees how it rises.
        """
        return {labels: kind.errors for labels, kind in tuple(self._kinds.items())}

    def merchants(self) -> Mapping[Labels, float]:
        """Return how many merchants each kind, feature and arm has reached, on all workers."""
        return {
            labels: max(kind.shared, len(kind.merchants))
            for labels, kind in tuple(self._kinds.items())
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell Redis, and ask it, for as long as the body runs, and once more after it."""
        task = asyncio.create_task(self._share())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            with suppress(Exception):
                await self.exchange()

    async def exchange(self) -> None:
        """Tell Redis what is new here, and learn what is known there; raises what Redis raises."""
        async with asyncio.timeout(_PATIENCE):
            await self._send()
            await self._read()

    async def _share(self) -> None:
        while True:
            try:
                await self.exchange()
            except Exception as error:  # noqa: BLE001 - a client of Redis raises more than its own
                self._sharing.failed(error)
            else:
                self._sharing.worked()
            await asyncio.sleep(_INTERVAL)

    async def _send(self) -> None:
        commands = self._redis.pipeline(transaction=False)
        sent: list[tuple[_Kind, set[bytes]]] = []
        for (name, feature, arm), kind in self._kinds.items():
            if not kind.unsent:
                continue
            merchants = set(kind.unsent)
            sent.append((kind, merchants))
            known, reached = _kinds_key(feature, arm), _merchants_key(name, feature, arm)
            commands.zadd(known, {name: kind.seen_at}, gt=True)
            commands.zremrangebyscore(known, "-inf", kind.seen_at - _LIFETIME)
            commands.expire(known, _LIFETIME)
            commands.sadd(reached, *merchants)
            commands.expire(reached, _LIFETIME)
        if not sent:
            return
        await commands.execute()
        for kind, merchants in sent:
            # Others may have come meanwhile.
            kind.unsent -= merchants

    async def _read(self) -> None:
        oldest = self._clock() - _LIFETIME
        arms = list(self._arms)
        commands = self._redis.pipeline(transaction=False)
        for arm in arms:
            commands.zrange(_kinds_key(*arm), int(oldest), "+inf", byscore=True, withscores=True)
        for arm, found in zip(arms, await commands.execute(), strict=True):
            for name, seen_at in found:
                kind = self._kind(name.decode(), arm)
                kind.seen_at = max(kind.seen_at, seen_at)
        self._forget(oldest)
        asked = list(self._kinds.items())
        for key, _ in asked:
            commands.scard(_merchants_key(*key))
        for (_, kind), count in zip(asked, await commands.execute(), strict=True):
            kind.shared = count
            if count < len(kind.merchants):
                # Redis has lost some, so it is told once more.
                kind.unsent |= kind.merchants

    def _kind(self, name: str, arm: _Arm) -> _Kind:
        key = (name, *arm)
        if key not in self._kinds:
            known = sum(other[1:] == arm for other in self._kinds)
            if known >= MOST_KINDS:
                key = (OTHER, *arm)
        return self._kinds.setdefault(key, _Kind(seen_at=0.0))

    def _forget(self, oldest: float) -> None:
        for key, kind in list(self._kinds.items()):
            if kind.seen_at < oldest and key[0] != OTHER:
                del self._kinds[key]


def _kinds_key(feature: str, arm: str) -> str:
    return f"{{unexpected-errors}}:{feature}:{arm}:kinds"


def _merchants_key(kind: str, feature: str, arm: str) -> str:
    return f"{{unexpected-errors}}:{feature}:{arm}:merchants:{kind}"


def _hash(merchant_id: UUID) -> bytes:
    return hashlib.blake2b(merchant_id.bytes, digest_size=8, person=b"patron-errors").digest()
