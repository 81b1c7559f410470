"""The facts of the call that is being served, from anywhere inside it."""

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from domain.errors import Reason
from domain.model.caller import Caller
from domain.model.merchant import Revision


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the call failed, as the client is told."""

    reason: Reason
    error_id: str | None = None
    """The opaque id of an unexpected error; None for any other."""


@dataclass(frozen=True, slots=True)
class Reflection:
    """What an answer reflects, for whoever keeps it."""

    revision: Revision
    valid_until: datetime
    """When the answer becomes wrong by itself, whatever is written or not."""


@dataclass(frozen=True, slots=True)
class Arm:
    """In which half of a rollout the call is."""

    feature: str
    treatment: bool
    """Whether the merchant has the feature; those who have not are the control."""


_arm: ContextVar[Arm | None] = ContextVar("patron_arm", default=None)
_caller: ContextVar[Caller | None] = ContextVar("patron_caller", default=None)
_deadline: ContextVar[float | None] = ContextVar("patron_deadline", default=None)
_failure: ContextVar[Failure | None] = ContextVar("patron_failure", default=None)
_reflection: ContextVar[Reflection] = ContextVar("patron_reflection")
_trace_id: ContextVar[str | None] = ContextVar("patron_trace_id", default=None)


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

find_arm = _arm.get
"""Return in which arm of a rollout the call is, or None: in none, or not decided yet."""

set_arm = _arm.set
"""Say in which arm of a rollout the call is; for the gate of the features alone."""

find_deadline = _deadline.get
"""Return when the client stops waiting, on `time.monotonic`'s clock; infinity: never; None: that
is not noted."""

set_deadline = _deadline.set
"""Say when the client stops waiting; for the bound on the work, which every call meets first."""

find_failure = _failure.get
"""Return why the call has failed, or None."""

set_failure = _failure.set
"""Say why the call has failed; for the translation of errors alone."""

find_reflection = _reflection.get
"""Return what the answer reflects; raises LookupError where its handler has not said it."""

set_reflection = _reflection.set
"""Say what the answer reflects; for the handlers of methods whose answers may be cached."""

find_trace_id = _trace_id.get
"""Return the id of the trace that the call is recorded in, or None."""

set_trace_id = _trace_id.set
"""Say in which trace the call is recorded; for the traces alone."""
