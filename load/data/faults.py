"""What is wrong with a JSON object that should say a message, and where in it.

Source: https://protobuf.dev/programming-guides/json.
"""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor

BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
"""Of either alphabet; padding may be left out."""
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_RANGES: Final[Mapping[int, range]] = {
    FieldDescriptor.CPPTYPE_INT32: range(-(2**31), 2**31),
    FieldDescriptor.CPPTYPE_INT64: range(-(2**63), 2**63),
    FieldDescriptor.CPPTYPE_UINT32: range(2**32),
    FieldDescriptor.CPPTYPE_UINT64: range(2**64),
}
_SHOWN = 60
"""How many characters of a value are shown."""


def faults(descriptor: Descriptor, value: Any, path: str = "") -> Iterator[str]:  # noqa: ANN401
    """Yield what is wrong, each as `path.of.field: why`.

    Of the well-known types, whose JSON isn't that of their fields, nothing is found.
    """
    if descriptor.full_name.startswith("google.protobuf."):
        return
    if not isinstance(value, dict):
        yield f"{path}: {_shown(value)} is no JSON object".removeprefix(": ")
        return
    fields = {name: field for field in descriptor.fields for name in (field.json_name, field.name)}
    for key, content in value.items():
        here = f"{path}.{key}".removeprefix(".")
        if key in fields:
            yield from _of_field(fields[key], content, here)
        elif not str(key).startswith("["):  # So do the names of extensions.
            names = [field.json_name for field in descriptor.fields]
            yield f"{here}: there is no such field{_hint(str(key), names)}"


def _of_field(field: FieldDescriptor, value: Any, path: str) -> Iterator[str]:  # noqa: ANN401
    if value is None:
        return
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        if not isinstance(value, dict):
            yield f"{path}: {_shown(value)} is no JSON object"
            return
        for key, content in value.items():
            yield from _of_element(entry.fields_by_name["value"], content, f"{path}.{key}")
    elif field.is_repeated:
        if not isinstance(value, list):
            yield f"{path}: {_shown(value)} is no array"
            return
        for index, content in enumerate(value):
            yield from _of_element(field, content, f"{path}[{index}]")
    else:
        yield from _of_element(field, value, path)


def _of_element(field: FieldDescriptor, value: Any, path: str) -> Iterator[str]:  # noqa: ANN401
    if field.message_type is not None:
        yield from faults(field.message_type, value, path)
        return
    why = _of_scalar(field, value)
    if why:
        yield f"{path}: {_shown(value)} {why}"


def _of_scalar(field: FieldDescriptor, value: Any) -> str:  # noqa: ANN401
    """Return what a value is not; empty: it is what it should be."""
    text = value if isinstance(value, str) else None
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
    right, why = False, ""
    if field.enum_type is not None:
        names = field.enum_type.values_by_name
        right = text in names or number is not None or bool(text and _INTEGER.fullmatch(text))
        why = f"is no {field.enum_type.name}{_hint(str(value), names)}"
    elif field.type == FieldDescriptor.TYPE_BYTES:
        right, why = text is not None and bool(BASE64.fullmatch(text)), "is no string of base64"
    elif field.type == FieldDescriptor.TYPE_STRING:
        right, why = text is not None, "is no string"
    elif field.type == FieldDescriptor.TYPE_BOOL:
        right, why = isinstance(value, bool), "is neither true nor false"
    elif field.cpp_type not in _RANGES:
        right, why = text is not None or number is not None, "is no number"
    elif (text is None or not _INTEGER.fullmatch(text)) and (number is None or number % 1):
        why = "is no integer"
    else:
        within = _RANGES[field.cpp_type]
        right, why = int(value) in within, f"is not from {within[0]} to {within[-1]}"
    return "" if right else why


def _hint(name: str, names: Iterable[str]) -> str:
    known = list(names)
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else f"; there is {', '.join(known) or 'none'}"


def _shown(value: Any) -> str:  # noqa: ANN401
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
