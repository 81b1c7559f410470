"""Encodings and checksums. Source: the functions of sprig, and the package encoding/json of Go."""

import base64
import hashlib
import json
import math
import os
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from load.templates.faults import Fault
from load.templates.instants import RFC_3339_NANO, Instant
from load.templates.literals import from_bytes, to_bytes
from load.templates.printing import shortest
from load.templates.values import Value, in_order, type_of

_HTML: Final = re.compile("[<>&\u2028\u2029]")
_LINES: Final = re.compile("[\u2028\u2029]")
_BYTES: Final = re.compile("[\udc80-\udcff]")


def _json(value: Value) -> str:
    return _encoded(value, _HTML, "", "")


def _raw_json(value: Value) -> str:
    return _encoded(value, _LINES, "", "")


def _pretty_json(value: Value) -> str:
    return _encoded(value, _HTML, "\n", "  ")


def _encoded(value: Value, escaped: re.Pattern[str], line: str, indent: str) -> str:
    """Return the value as JSON; `line` is what stands before an element, `indent` in each depth."""
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
        text = escaped.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
        return _BYTES.sub(r"\\ufffd", text)
    if value is None or isinstance(value, bool | int):
        return json.dumps(value)
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Instant):
        return f'"{value.format(RFC_3339_NANO)}"'
    deeper = line + indent
    if isinstance(value, list | tuple):
        elements = [_encoded(each, escaped, deeper, indent) for each in value]
        return f"[{deeper}{f',{deeper}'.join(elements)}{line}]" if elements else "[]"
    if isinstance(value, Mapping):
        colon = ": " if indent else ":"
        entries = [
            _encoded(key, escaped, "", "") + colon + _encoded(each, escaped, deeper, indent)
            for key, each in in_order(value)
        ]
        return f"{{{deeper}{f',{deeper}'.join(entries)}{line}}}" if entries else "{}"
    raise Fault(f"{type_of(value)} is nothing in JSON")


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise Fault("JSON has numbers that are finite alone")
    return re.sub(r"e-0(\d)$", r"e-\1", shortest(value, small=-6, large=21))


def _from_json(text: str) -> Value:
    try:
        return json.loads(text, parse_int=float, parse_constant=_no_constant)
    except ValueError as error:
        raise Fault(f"it takes JSON here: {error}") from None


def _no_constant(name: str) -> Value:
    raise ValueError(f"{name} is not in JSON")


def _base64(text: str) -> str:
    return base64.b64encode(to_bytes(text)).decode()


def _from_base64(text: str) -> str:
    try:
        return from_bytes(base64.b64decode(_one_line(text), validate=True))
    except ValueError:
        raise Fault("it takes base64 here") from None


def _base32(text: str) -> str:
    return base64.b32encode(to_bytes(text)).decode()


def _from_base32(text: str) -> str:
    try:
        return from_bytes(base64.b32decode(_one_line(text)))
    except ValueError:
        raise Fault("it takes base32 here") from None


def _one_line(text: str) -> str:
    # To Go, line ends in it are nothing.
    return text.replace("\n", "").replace("\r", "")


def _sha256(text: str) -> str:
    return hashlib.sha256(to_bytes(text)).hexdigest()


def _sha1(text: str) -> str:
    return hashlib.sha1(to_bytes(text), usedforsecurity=False).hexdigest()


def _adler32(text: str) -> str:
    return str(zlib.adler32(to_bytes(text)))


def _env(name: str) -> str:
    return os.environ.get(name, "")


def _fail(message: str) -> str:
    raise Fault(message)


FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {
    "toJson": _json,
    "mustToJson": _json,
    "toRawJson": _raw_json,
    "mustToRawJson": _raw_json,
    "toPrettyJson": _pretty_json,
    "mustToPrettyJson": _pretty_json,
    "fromJson": _from_json,
    "mustFromJson": _from_json,
    "b64enc": _base64,
    "b64dec": _from_base64,
    "b32enc": _base32,
    "b32dec": _from_base32,
    "sha256sum": _sha256,
    "sha1sum": _sha1,
    "adler32sum": _adler32,
    "env": _env,
    "fail": _fail,
}
