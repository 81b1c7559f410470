"""The functions that every template of Go has, but for `and` and `or`, which are lazy.

Source: https://pkg.go.dev/text/template#hdr-Functions.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote_plus

from load.templates.faults import Fault
from load.templates.literals import from_bytes, to_bytes
from load.templates.printing import formatted, plain, printed, side_by_side
from load.templates.values import Value, equal, less, truth, type_of


def _not(value: Value) -> bool:
    return not truth(value)


def _eq(one: Value, other: Value, *others: Value) -> bool:
    return any(equal(one, each) for each in (other, *others))


def _ne(one: Value, other: Value) -> bool:
    return not equal(one, other)


def _le(one: Value, other: Value) -> bool:
    return less(one, other) or equal(one, other)


def _gt(one: Value, other: Value) -> bool:
    return not _le(one, other)


def _ge(one: Value, other: Value) -> bool:
    return not less(one, other)


def _len(value: Value) -> int:
    if isinstance(value, str):
        return len(to_bytes(value))
    if isinstance(value, list | tuple | Mapping):
        return len(value)
    raise Fault(f"{type_of(value)} has no length")


def _index(value: Value, *indexes: Value) -> Value:
    if value is None:
        raise Fault("nil has no elements")
    for index in indexes:
        if isinstance(value, Mapping):
            if not isinstance(index, str):
                raise Fault(f"the keys of a map are strings, not {type_of(index)}")
            value = value.get(index)
        elif isinstance(value, list | tuple):
            value = value[_bound(index, len(value) - 1)]
        elif isinstance(value, str):
            data = to_bytes(value)
            value = data[_bound(index, len(data) - 1)]
        else:
            raise Fault(f"{type_of(value)} has no elements")
    return value


def _slice(value: Value, *bounds: Value) -> Value:
    if not isinstance(value, str | list | tuple):
        raise Fault(f"{type_of(value)} has no parts")
    data = to_bytes(value) if isinstance(value, str) else value
    most = len(data)
    start, end, *more = [_bound(bound, most) for bound in bounds] + [0, most][len(bounds) :]
    if more:
        raise Fault("a third bound, which is a capacity, is not supported")
    if start > end:
        raise Fault(f"the part from {start} to {end} ends before it begins")
    part = data[start:end]
    return from_bytes(part) if isinstance(part, bytes) else part


def _bound(index: Value, most: int) -> int:
    if type(index) is not int:
        raise Fault(f"an index is an integer, not {type_of(index)}")
    if not 0 <= index <= most:
        raise Fault(f"there is no element {index}: the last one is {most}")
    return index


def _println(*values: Value) -> str:
    return " ".join(map(plain, values)) + "\n"


def _text(values: tuple[Value, ...]) -> str:
    return side_by_side([printed(value) if value is None else value for value in values])


_HTML: Final = {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SCRIPT: Final = {
    "\\": "\\\\", "'": "\\'", '"': '\\"',
    "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D",
}  # fmt: skip


def _html(*values: Value) -> str:
    return re.sub(r"[\0\"'&<>]", lambda match: _HTML[match[0]], _text(values))


def _js(*values: Value) -> str:
    def escape(match: re.Match[str]) -> str:
        character = match[0]
        if character in _SCRIPT:
            return _SCRIPT[character]
        return character if character.isprintable() else f"\\u{ord(character):04X}"

    return re.sub(r"[\\'\"<>&=\x00-\x1f]|[^\x00-\x7f]", escape, _text(values))


def _urlquery(*values: Value) -> str:
    return quote_plus(to_bytes(_text(values)))


def _print(*values: Value) -> str:
    return side_by_side(values)


def _printf(format_: str, *values: Value) -> str:
    return formatted(format_, values)


FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {
    "not": _not,
    "eq": _eq,
    "ne": _ne,
    "lt": less,
    "le": _le,
    "gt": _gt,
    "ge": _ge,
    "len": _len,
    "index": _index,
    "slice": _slice,
    "print": _print,
    "printf": _printf,
    "println": _println,
    "html": _html,
    "js": _js,
    "urlquery": _urlquery,
}
