"""What people think of features."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Opinion:
    """What a person says of a feature."""

    feature: str
    rating: int
    """From 1, not at all content, to 5, very."""
    comment: str
    """May be empty."""


@dataclass(frozen=True, slots=True)
class Feedback:
    """A person's newest opinion of a feature."""

    id: UUID
    subject: str
    """Who the person is; an opaque name of the token's issuer."""
    opinion: Opinion
    app_version: str
    """The version of the application that sent it; empty: it didn't say."""
    platform: str
    """What the application ran on; empty: it didn't say."""
    sent_at: datetime
    counted_at: datetime | None
    """When an opinion of this person's last counted in the mean of the feature; None: never."""
    revision: int
    """The number of the merchant's revision that brought it."""
