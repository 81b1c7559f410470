"""The keys that are in use, and how newer ones take their place."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

import jwt
import structlog

from server.auth.key_source import KeySource
from server.auth.keys import KeySet, KeysUnusable

Forget: TypeAlias = Callable[[frozenset[str]], None]
"""Is told the ids under which keys are not, or not the same, any more."""

_log = structlog.get_logger("patron.auth")


class KeyRing:
    """The keys that their source had when it was last read with success."""

    def __init__(
        self,
        keys: KeySet,
        source: KeySource,
        *,
        cool_down: float = 30.0,
        patience: float = 1.0,
    ) -> None:
        """Keep keys.

        Args:
            keys: What the source has now.
            source: Where newer keys come from.
            cool_down: For how many seconds after keys were sought for an unknown id no others are.
            patience: For how many seconds a call waits for keys that are sought.
        """
        self.read_well = 0
        """How often the keys were read again."""
        self.failed = 0
        """How often they could not be read again."""
        self._keys = keys
        self._source = source
        self._cool_down = cool_down
        self._patience = patience
        self._sought = float("-inf")
        self._reading: asyncio.Task[None] | None = None
        self._forgetters: list[Forget] = []

    @asynccontextmanager
    async def refreshed_every(self, seconds: float) -> AsyncIterator[None]:
        """Read the keys again every so many seconds for as long as the body runs."""
        refreshing = asyncio.create_task(self._refresh_every(seconds))
        try:
            yield
        finally:
            for task in (refreshing, self._reading):
                if task is not None:
                    task.cancel()
                    await asyncio.wait([task])

    def find(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key of this id, or None."""
        return self._keys.find(key_id)

    def on_withdrawal(self, forget: Forget) -> None:
        """Have `forget` called whenever keys are withdrawn, before the next token is verified."""
        self._forgetters.append(forget)

    async def seek(self) -> None:
        """Read the keys because a token names an unknown one; return when that is done or in vain.

        Whoever comes while they are read waits for the same. Who comes later within the cool-down
        doesn't wait: a flood of unknown ids costs one reading.
        """
        reading = self._reading
        if reading is None:
            now = time.monotonic()
            if now < self._sought + self._cool_down:
                return
            self._sought = now
            reading = self._read()
        await asyncio.wait([reading], timeout=self._patience)

    async def _refresh_every(self, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            await asyncio.wait([self._reading or self._read()])

    def _read(self) -> asyncio.Task[None]:
        self._reading = asyncio.create_task(self._replace())
        return self._reading

    async def _replace(self) -> None:
        try:
            newer = await asyncio.to_thread(self._source.read)
        except KeysUnusable as error:
            self.failed += 1
            _log.warning("keys not read, the last ones stay", problem=str(error))
            return
        finally:
            self._reading = None
        self.read_well += 1
        withdrawn = self._keys.withdrawn_by(newer)
        self._keys = newer
        if withdrawn:
            _log.info("keys withdrawn", key_ids=sorted(withdrawn))
            for forget in self._forgetters:
                forget(withdrawn)
