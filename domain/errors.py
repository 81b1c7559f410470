"""The errors that a caller may meet, as types.

The class of an error says what kind of failure it is, its reason exactly which one. Reasons are the
values of `patron.error.v1.ErrorReason` without their prefix. Messages are for the developer of the
client and never hold personal data.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ERROR_DOMAIN = "patron.dev"
"""The domain of every reason, as in `google.rpc.ErrorInfo`."""


class Reason(enum.StrEnum):
    """Why a call failed; documented value by value in `error_reason.proto`."""

    @staticmethod
    def _generate_next_value_(name: str, *_: object) -> str:
        return name

    UNEXPECTED = enum.auto()
    METHOD_UNKNOWN = enum.auto()
    DEPENDENCY_UNAVAILABLE = enum.auto()
    DEADLINE_EXCEEDED = enum.auto()
    SERVER_STOPPING = enum.auto()
    OVERLOADED = enum.auto()
    DEADLINE_TOO_SHORT = enum.auto()
    TOKEN_MISSING = enum.auto()
    TOKEN_INVALID = enum.auto()
    TOKEN_EXPIRED = enum.auto()
    SCOPE_MISSING = enum.auto()
    MERCHANT_UNKNOWN = enum.auto()
    REQUEST_MALFORMED = enum.auto()
    FIELD_INVALID = enum.auto()
    PHONE_INVALID = enum.auto()
    CURRENCY_MISMATCH = enum.auto()
    TOTAL_MISMATCH = enum.auto()
    WALK_IN_NOT_SETTLED = enum.auto()
    PAGE_TOKEN_INVALID = enum.auto()
    REQUEST_ID_REUSED = enum.auto()
    CUSTOMER_NOT_FOUND = enum.auto()
    BILL_NOT_FOUND = enum.auto()
    FEATURE_NOT_FOUND = enum.auto()
    CUSTOMER_ALREADY_EXISTS = enum.auto()
    BILL_ALREADY_EXISTS = enum.auto()
    PAYMENT_ALREADY_EXISTS = enum.auto()
    PHONE_TAKEN = enum.auto()
    EXTERNAL_ID_TAKEN = enum.auto()
    ETAG_STALE = enum.auto()
    WRITE_CONTENDED = enum.auto()
    MESSAGE_TOO_LARGE = enum.auto()
    RATE_LIMITED = enum.auto()
    REVISION_UNKNOWN = enum.auto()
    FEATURE_DISABLED = enum.auto()


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One field of a request that breaks its rule."""

    field: str
    """The path of the field, such as `bill.lines[2].description`."""
    description: str
    """What is wrong with it, for the developer of the client."""


class PatronError(Exception):
    """A failure with a meaning; only its subclasses are raised."""

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[FieldViolation] = (),
    ) -> None:
        """Make the error.

        Args:
            reason: Why, exactly.
            message: What happened, for the developer of the client; no personal data.
            metadata: Facts of the failure for programs, as the reason documents them.
            violations: The fields that caused it.
        """
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata = dict(metadata or {})
        self.violations = tuple(violations)


class InvalidRequestError(PatronError):
    """The request is wrong whatever the state of the system is."""


class UnauthenticatedError(PatronError):
    """The caller is not known."""


class PermissionDeniedError(PatronError):
    """The caller is known and may not."""


class NotFoundError(PatronError):
    """The merchant has no such resource."""


class AlreadyExistsError(PatronError):
    """The resource that should be created is there already."""


class AbortedError(PatronError):
    """Another write was first; the client may read again and repeat."""

    def __init__(self, reason: Reason, message: str, *, retry_after: float | None = None) -> None:
        """Make the error; `retry_after` is in seconds, for a client that may simply repeat."""
        super().__init__(reason, message)
        self.retry_after = retry_after


class UnavailableError(PatronError):
    """A part of the system cannot be reached now."""

    def __init__(self, reason: Reason, message: str, *, retry_after: float = 1.0) -> None:
        """Make the error; `retry_after` is in seconds."""
        super().__init__(reason, message)
        self.retry_after = retry_after


class NoConnectionError(UnavailableError):
    """No connection to a part could be had, so it was asked for nothing."""


class ResourceExhaustedError(PatronError):
    """A quota of the merchant is used up."""

    def __init__(self, reason: Reason, message: str, *, subject: str, retry_after: float) -> None:
        """Make the error.

        Args:
            reason: Why, exactly.
            message: What is used up, for the developer of the client.
            subject: Whose quota it is, and which.
            retry_after: When there is some of it again, in seconds.
        """
        super().__init__(reason, message)
        self.subject = subject
        self.retry_after = retry_after


class FailedPreconditionError(PatronError):
    """The system is not in the state that the request relies on; repeating it does not help."""


class DeadlineExceededError(PatronError):
    """The caller's deadline passed before the work was done."""


class UnimplementedError(PatronError):
    """The server does not serve the method."""


def invalid_field(field: str, description: str) -> InvalidRequestError:
    """Return the error for one field that breaks its rule."""
    return InvalidRequestError(
        Reason.FIELD_INVALID,
        f"{field}: {description}",
        violations=[FieldViolation(field, description)],
    )


def revision_unknown() -> FailedPreconditionError:
    """Return the error of a caller who has seen a revision that the database has not reached."""
    return FailedPreconditionError(
        Reason.REVISION_UNKNOWN, "the database has not reached the revision of patron-min-revision"
    )
