"""The facts of the call that is being served, from anywhere inside it."""

from contextvars import ContextVar
from dataclasses import dataclass

from domain.errors import Reason
from domain.model.caller import Caller


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the call failed, as the client is told."""

    reason: Reason
    error_id: str | None = None
    """The opaque id of an unexpected error; None for any other."""


_caller: ContextVar[Caller | None] = ContextVar("patron_caller", default=None)
_failure: ContextVar[Failure | None] = ContextVar("patron_failure", default=None)


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
