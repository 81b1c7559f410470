"""The facts of the call that is being served, from anywhere inside it."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeAlias

from domain.errors import Reason
from domain.model.caller import Caller


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the call failed, as the client is told."""

    reason: Reason
    error_id: str | None = None
    """The opaque id of an unexpected error; None for any other."""


Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]
"""What a client sends beside its request: names in lower case, and values."""

_metadata: ContextVar[Metadata] = ContextVar("patron_metadata", default=())
_caller: ContextVar[Caller | None] = ContextVar("patron_caller", default=None)
_failure: ContextVar[Failure | None] = ContextVar("patron_failure", default=None)


call_metadata = _metadata.get
"""Return the client's metadata; the context of a call makes a copy of all of it each time."""

set_metadata = _metadata.set
"""Say what the client's metadata is; for the chain alone."""


def current_caller() -> Caller:
    """Return who calls; every RPC of Patron has a caller.

    Raises:
        LookupError: Nobody is authenticated: the code runs outside a call.
    """
    caller = _caller.get()
    if caller is None:
        raise LookupError("there is no caller outside an authenticated call")
    return caller


def find_caller() -> Caller | None:
    """Return who calls, or None before authentication and outside a call."""
    return _caller.get()


set_caller = _caller.set
"""Say who calls; for the authentication alone."""

find_failure = _failure.get
"""Return why the call has failed, or None."""

set_failure = _failure.set
"""Say why the call has failed; for the translation of errors alone."""
