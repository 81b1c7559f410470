"""Customers."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from domain.errors import FieldViolation, InvalidRequestError, Reason

UPDATABLE: Final = ("external_id", "name", "phone", "note")
"""The fields of a customer that a client may change."""


@dataclass(frozen=True, slots=True)
class CustomerDraft:
    """What a client says of a customer that it creates."""

    id: UUID | None
    external_id: str
    name: str
    phone: str
    note: str
    digest: bytes
    """A keyed hash of the draft as it was sent."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer of a merchant. Texts that were never given are empty."""

    id: UUID
    external_id: str
    name: str
    phone: str
    """In E.164."""
    note: str
    created_at: datetime
    updated_at: datetime
    revision: int
    """The number of the merchant's revision that changed the customer last."""

    @property
    def etag(self) -> str:
        """Changes whenever the customer does."""
        return f"{self.revision:x}"


@dataclass(frozen=True, slots=True)
class CustomerUpdate:
    """What a client wants to change of a customer."""

    id: UUID
    etag: str
    """The etag that the client read; empty: whatever it is now."""
    values: dict[str, str]
    """The new values, by field."""


def masked(values: dict[str, str], paths: tuple[str, ...] | None) -> dict[str, str]:
    """Return the values that an update mask names, by AIP-134.

    Args:
        values: All updatable fields as they were sent.
        paths: The mask; None when it was omitted: all fields that are not empty.

    Raises:
        InvalidRequestError: A path is not that of an updatable field.
    """
    if paths is None:
        return {field: value for field, value in values.items() if value}
    if paths == ("*",):
        return values
    if unknown := [path for path in paths if path not in values]:
        raise InvalidRequestError(
            Reason.FIELD_INVALID,
            "update_mask: not a field that can be updated",
            violations=[
                FieldViolation("update_mask", f"{path!r} is not one of {', '.join(UPDATABLE)}")
                for path in unknown
            ],
        )
    return {path: values[path] for path in paths}
