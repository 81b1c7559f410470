"""Who calls, and for how long they wait."""

import time
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from domain.errors import DeadlineExceededError, Reason
from domain.model.merchant import Revision


@dataclass(frozen=True, slots=True)
class Identity:
    """What a verified token says."""

    merchant_id: UUID
    subject: str
    """Who acts for the merchant; an opaque name of the token's issuer."""
    scopes: frozenset[str]
    expires_at: float
    """When the token ends, in seconds since the epoch."""
    key_id: str
    """The id of the key that signed the token."""


# Made for every call: a frozen dataclass takes three times as long.
class Caller(NamedTuple):
    """One call's caller."""

    merchant_id: UUID
    subject: str
    deadline: float | None = None
    """When the caller stops waiting, on `time.monotonic`'s clock; None: never."""
    seen: Revision | None = None
    """The revision of the merchant that the caller must not read behind; None: any will do."""
    app_version: str | None = None
    """The version of the client's application, if it says so."""
    platform: str | None = None
    """What the client's application runs on, such as ios, if it says so."""

    def remaining(self) -> float | None:
        """Return how many seconds the caller still waits; None: for ever.

        Raises:
            DeadlineExceededError: The deadline is over.
        """
        if self.deadline is None:
            return None
        remaining = self.deadline - time.monotonic()
        if remaining <= 0:
            raise DeadlineExceededError(Reason.DEADLINE_EXCEEDED, "the deadline is over")
        return remaining
