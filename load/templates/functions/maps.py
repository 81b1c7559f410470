"""Maps. Source: the functions of sprig, and of mergo, by which it merges.

Unlike in Go, keys and values come in the order in which they were put in.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from load.templates.faults import Fault
from load.templates.printing import plain
from load.templates.signatures import Entries
from load.templates.values import Value, truth, type_of

_LEAST_FOR_DIG: Final = 3


def _dict(*values: Value) -> Entries:
    odd = [*values, ""] if len(values) % 2 else values
    return {plain(odd[index]): odd[index + 1] for index in range(0, len(odd), 2)}


def _get(entries: Entries, key: str) -> Value:
    return entries.get(key, "")


def _set(entries: Entries, key: str, value: Value) -> Entries:
    _own(entries)[key] = value
    return entries


def _unset(entries: Entries, key: str) -> Entries:
    _own(entries).pop(key, None)
    return entries


def _own(entries: Entries) -> dict[str, Value]:
    if isinstance(entries, dict):
        return entries
    raise Fault("the data of the template cannot be changed")


def _has_key(entries: Entries, key: str) -> bool:
    return key in entries


def _pluck(key: str, *maps: Entries) -> Sequence[Value]:
    return [entries[key] for entries in maps if key in entries]


def _keys(*maps: Entries) -> Sequence[str]:
    return [key for entries in maps for key in entries]


def _values(entries: Entries) -> Sequence[Value]:
    return list(entries.values())


def _pick(entries: Entries, *keys: str) -> Entries:
    return {key: entries[key] for key in keys if key in entries}


def _omit(entries: Entries, *keys: str) -> Entries:
    return {key: value for key, value in entries.items() if key not in keys}


def _merge(entries: Entries, *others: Entries) -> Entries:
    for other in others:
        _merge_into(_own(entries), other, overwrite=False)
    return entries


def _merge_overwrite(entries: Entries, *others: Entries) -> Entries:
    for other in others:
        _merge_into(_own(entries), other, overwrite=True)
    return entries


def _merge_into(entries: dict[str, Value], other: Entries, *, overwrite: bool) -> None:
    for key, value in other.items():
        mine = entries.get(key)
        if isinstance(value, Mapping) and isinstance(mine, dict):
            _merge_into(mine, value, overwrite=overwrite)
        elif isinstance(value, Mapping):
            # A value that isn't empty is not overwritten by a map.
            if not truth(mine):
                entries[key] = value
        elif (overwrite or not truth(mine)) and (overwrite or value is not None):
            entries[key] = value


def _dig(*path: Value) -> Value:
    if len(path) < _LEAST_FOR_DIG:
        raise Fault("it takes at least a key, what stands in for it, and a map")
    *keys, default, found = path
    for key in keys:
        if not isinstance(found, Mapping) or not isinstance(key, str):
            raise Fault(f"there is no {plain(key)} in {type_of(found)}")
        if key not in found:
            return default
        found = found[key]
    return found


def deep_copy(value: Value) -> Value:
    """Return a copy of a list or map, and of all that is in it; of anything else itself."""
    if isinstance(value, Mapping):
        return {key: deep_copy(each) for key, each in value.items()}
    return [deep_copy(each) for each in value] if isinstance(value, list | tuple) else value


CHANGING: Final = (
    "set", "unset", "merge", "mustMerge", "mergeOverwrite", "mustMergeOverwrite",
)  # fmt: skip

FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {
    "dict": _dict,
    "get": _get,
    "set": _set,
    "unset": _unset,
    "hasKey": _has_key,
    "pluck": _pluck,
    "keys": _keys,
    "values": _values,
    "pick": _pick,
    "omit": _omit,
    "merge": _merge,
    "mustMerge": _merge,
    "mergeOverwrite": _merge_overwrite,
    "mustMergeOverwrite": _merge_overwrite,
    "dig": _dig,
    "deepCopy": deep_copy,
    "mustDeepCopy": deep_copy,
}
