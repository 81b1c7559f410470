"""The state of a rollout as a JSON document."""

from typing import Any, Final

import msgspec

from flags.rollout.state import State

_VERSION: Final = 1


class DocumentUnreadable(Exception):
    """A document is not one of this release's; says what is wrong with it."""


def to_document(state: State) -> dict[str, Any]:
    """Return a state as JSON takes it, with the version of its shape."""
    # By way of JSON, so that it equals what comes back from there.
    document: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(state))
    return {"version": _VERSION, **document}


def from_document(document: dict[str, Any]) -> State:
    """Return the state of a document.

    Raises:
        DocumentUnreadable: It has another version, or anything missing or unknown.
    """
    if document.get("version") != _VERSION:
        raise DocumentUnreadable(
            f"its version is {document.get('version')}, this release knows {_VERSION}"
        )
    fields = {name: value for name, value in document.items() if name != "version"}
    try:
        state = msgspec.convert(fields, State)
    except msgspec.ValidationError as error:
        raise DocumentUnreadable(str(error)) from error
    # Nothing that a newer release has added may be lost by saving it again.
    if to_document(state) != document:
        raise DocumentUnreadable("it has fields that this release does not know, or lacks some")
    return state
