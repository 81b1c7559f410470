"""Lists, and what stands in for what is empty. Source: the functions of sprig."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from load.templates.faults import Fault
from load.templates.functions.numbers import to_integer
from load.templates.literals import to_bytes
from load.templates.printing import plain
from load.templates.signatures import Items
from load.templates.values import Value, deeply_equal, truth

_Values = Sequence[Value]


def _list(*values: Value) -> _Values:
    return list(values)


def _first(items: Items) -> Value:
    return items[0] if items else None


def _last(items: Items) -> Value:
    return items[-1] if items else None


def _rest(items: Items) -> _Values:
    return items[1:]


def _initial(items: Items) -> _Values:
    return items[:-1]


def _append(items: Items, value: Value) -> _Values:
    return [*items, value]


def _prepend(items: Items, value: Value) -> _Values:
    return [value, *items]


def _concat(*lists: Items) -> _Values:
    return [item for items in lists for item in items]


def _reverse(items: Items) -> _Values:
    return items[::-1]


def _uniq(items: Items) -> _Values:
    found: list[Value] = []
    for item in items:
        if not _in(item, found):
            found.append(item)
    return found


def _without(items: Items, *unwanted: Value) -> _Values:
    return [item for item in items if not _in(item, unwanted)]


def _has(value: Value, items: Value) -> bool:
    if items is None:
        return False
    if not isinstance(items, list | tuple):
        raise Fault("it takes a list at the end")
    return _in(value, items)


def _in(value: Value, items: _Values) -> bool:
    return any(deeply_equal(value, item) for item in items)


def _compact(items: Items) -> _Values:
    return [item for item in items if truth(item)]


def _slice(items: Items, *bounds: Value) -> Value:
    if not items:
        return None
    start = to_integer(bounds[0]) if bounds else 0
    end = to_integer(bounds[1]) if len(bounds) > 1 else len(items)
    if not 0 <= start <= end <= len(items):
        raise Fault(f"there is no part from {start} to {end} of {len(items)} elements")
    return items[start:end]


def _chunk(size: int, items: Items) -> _Values:
    if size < 1:
        raise Fault(f"there are no parts of {size} elements")
    return [items[start : start + size] for start in range(0, len(items), size)]


def _strings(value: Value) -> Sequence[str]:
    if isinstance(value, list | tuple):
        return [plain(item) for item in value if item is not None]
    return [] if value is None else [plain(value)]


def _sort_alpha(value: Value) -> Sequence[str]:
    return sorted(_strings(value), key=to_bytes) if value is not None else [plain(value)]


def _join(separator: str, value: Value) -> str:
    return separator.join(_strings(value))


def _split_list(separator: str, text: str) -> Sequence[str]:
    return text.split(separator) if separator else list(text)


def _split(separator: str, text: str) -> Value:
    return {f"_{index}": part for index, part in enumerate(_split_list(separator, text))}


def _splitn(separator: str, count: int, text: str) -> Value:
    if not separator:
        raise Fault("it takes a separator that is not empty")
    parts = text.split(separator, count - 1 if count > 0 else -1) if count else []
    return {f"_{index}": part for index, part in enumerate(parts)}


def _default(default: Value, *given: Value) -> Value:
    return given[0] if given and truth(given[0]) else default


def _empty(value: Value) -> bool:
    return not truth(value)


def _coalesce(*values: Value) -> Value:
    return next(filter(truth, values), None)


def _all(*values: Value) -> bool:
    return all(map(truth, values))


def _any(*values: Value) -> bool:
    return any(map(truth, values))


def _ternary(yes: Value, no: Value, condition: bool) -> Value:  # noqa: FBT001 - sprig's order.
    return yes if condition else no


_STRICT: Final[Mapping[str, Callable[..., Value]]] = {
    "append": _append,
    "push": _append,
    "prepend": _prepend,
    "first": _first,
    "rest": _rest,
    "last": _last,
    "initial": _initial,
    "reverse": _reverse,
    "uniq": _uniq,
    "without": _without,
    "has": _has,
    "slice": _slice,
    "compact": _compact,
    "chunk": _chunk,
}

FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {
    **_STRICT,
    # Where they are told apart in sprig, it is by how they fail.
    **{f"must{name[0].upper()}{name[1:]}": function for name, function in _STRICT.items()},
    "list": _list,
    "tuple": _list,
    "concat": _concat,
    "toStrings": _strings,
    "sortAlpha": _sort_alpha,
    "join": _join,
    "split": _split,
    "splitn": _splitn,
    "splitList": _split_list,
    "default": _default,
    "empty": _empty,
    "coalesce": _coalesce,
    "all": _all,
    "any": _any,
    "ternary": _ternary,
}
