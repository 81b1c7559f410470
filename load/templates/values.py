"""Values as Go sees them: what is true, what is equal, and what they are called.

nil, and what is not there, is None; a list is a list or tuple, a map any mapping.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from load.templates.faults import Fault
from load.templates.instants import Instant
from load.templates.literals import MAX_INT, MIN_INT

Value: TypeAlias = Any
"""Any of these: what it is, is found out when it is used."""

_TYPES: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (bool, "a bool"),
    (int, "an integer"),
    (float, "a float"),
    (str, "a string"),
    ((list, tuple), "a list"),
    (Mapping, "a map"),
    (Instant, "a time"),
)


def type_of(value: Value) -> str:
    """Return what a person calls a value of its type, such as `a list`."""
    if value is None:
        return "nil"
    return next((name for kind, name in _TYPES if isinstance(value, kind)), type(value).__name__)


def truth(value: Value) -> bool:
    """Return whether it is true: neither nil, nor zero, nor empty."""
    return isinstance(value, Instant) or bool(value)


def in_order(entries: Mapping[str, Value]) -> Sequence[tuple[str, Value]]:
    """Return the entries of a map in the order that Go prints them in: that of their keys."""
    return sorted(entries.items(), key=lambda entry: str(entry[0]))


def wrapped(value: int) -> int:
    """Return it in the 64 bits that an integer of Go has."""
    if MIN_INT <= value <= MAX_INT:
        return value
    return (value + MAX_INT + 1) % 2**64 - MAX_INT - 1


def deeply_equal(one: Value, other: Value) -> bool:
    """Return whether both have the same type and the same value, in depth."""
    if type_of(one) != type_of(other):
        return False
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(deeply_equal, one, other))
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(deeply_equal(one[k], other[k]) for k in one)
    return bool(one == other)


def equal(one: Value, other: Value) -> bool:
    """Return whether `eq` says that they are equal.

    Raises:
        Fault: They cannot be compared.
    """
    if one is None or other is None:
        return one is other
    _comparable(one, other)
    if isinstance(one, list | tuple | Mapping):
        raise Fault(f"{type_of(one)} cannot be compared")
    return bool(one == other)


def less(one: Value, other: Value) -> bool:
    """Return whether `lt` says that the one is less than the other.

    Raises:
        Fault: They cannot be compared.
    """
    for value in (one, other):
        if type_of(value) not in ("an integer", "a float", "a string"):
            raise Fault(f"nothing is less or greater than {type_of(value)}")
    _comparable(one, other)
    # By bytes: for strings of Unicode that is the order of code points.
    return bool(one < other)


def _comparable(one: Value, other: Value) -> None:
    if type_of(one) != type_of(other):
        raise Fault(f"{type_of(one)} cannot be compared with {type_of(other)}")
