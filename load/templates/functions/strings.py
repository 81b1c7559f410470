"""Text. Source: the functions of sprig; as in Go, positions and lengths count bytes of UTF-8."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from load.templates.faults import Fault
from load.templates.literals import from_bytes, to_bytes
from load.templates.printing import plain, quoted
from load.templates.values import Value

_SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_EDGES: Final = re.compile(rf"\A[{_SPACE}]+|[{_SPACE}]+\Z")
_SPACES: Final = re.compile(rf"[{_SPACE}]+")
_MOST: Final = 2**26


def _upper(text: str) -> str:
    return text.upper() if text.isascii() else "".join(map(_upper_letter, text))


def _upper_letter(letter: str) -> str:
    # One letter becomes one: ß remains what it is.
    return upper if len(upper := letter.upper()) == 1 else letter


def _lower(text: str) -> str:
    return text.lower() if text.isascii() else "".join(map(_lower_letter, text))


def _lower_letter(letter: str) -> str:
    return lower if len(lower := letter.lower()) == 1 else letter


def _title(text: str) -> str:
    return re.sub(r"(?<!\w)\w", lambda match: _upper_letter(match[0]), text)


def _untitle(text: str) -> str:
    return re.sub(rf"(?<![^{_SPACE}]).", lambda match: _lower_letter(match[0]), text)


def _swapcase(text: str) -> str:
    return "".join(
        _lower_letter(letter) if letter.isupper() else _upper_letter(letter) for letter in text
    )


def _trim(text: str) -> str:
    return _EDGES.sub("", text)


def _trim_all(characters: str, text: str) -> str:
    return text.strip(characters) if characters else text


def _trim_prefix(prefix: str, text: str) -> str:
    return text.removeprefix(prefix)


def _trim_suffix(suffix: str, text: str) -> str:
    return text.removesuffix(suffix)


def _nospace(text: str) -> str:
    return _SPACES.sub("", text)


def _initials(text: str) -> str:
    return "".join(word[0] for word in _SPACES.split(text) if word)


def _contains(part: str, text: str) -> bool:
    return part in text


def _has_prefix(prefix: str, text: str) -> bool:
    return text.startswith(prefix)


def _has_suffix(suffix: str, text: str) -> bool:
    return text.endswith(suffix)


def _replace(old: str, new: str, text: str) -> str:
    return text.replace(old, new)


def _repeat(count: int, text: str) -> str:
    if count < 0 or count * len(text) > _MOST:
        raise Fault(f"nothing is repeated {count} times here")
    return text * count


def _trunc(count: int, text: str) -> str:
    data = to_bytes(text)
    return from_bytes(data[:count] if count >= 0 else data[count:])


def _substr(start: int, end: int, text: str) -> str:
    data = to_bytes(text)
    if start < 0:
        start = 0
    elif end < 0 or end > len(data):
        end = len(data)
    if not start <= end <= len(data):
        raise Fault(f"there is no part from {start} to {end} of {len(data)} bytes")
    return from_bytes(data[start:end])


def _abbrev(width: int, text: str) -> str:
    return _abbreviated(0, width, text) if width >= _LEAST_ABBREVIATED else text


def _abbrevboth(left: int, width: int, text: str) -> str:
    if width < _LEAST_ABBREVIATED or (left > 0 and width < _LEAST_ABBREVIATED_TWICE):
        return text
    return _abbreviated(left, width, text)


_DOTS: Final = "..."
_LEAST_ABBREVIATED: Final = len(_DOTS) + 1
_LEAST_ABBREVIATED_TWICE: Final = 2 * len(_DOTS) + 1


def _abbreviated(left: int, width: int, text: str) -> str:
    data = to_bytes(text)
    kept = width - len(_DOTS)
    if len(data) <= width:
        return text
    left = min(left, len(data) - kept)
    if left <= _LEAST_ABBREVIATED:
        return from_bytes(data[:kept]) + _DOTS
    if left + kept < len(data):
        return _DOTS + _abbrev(kept, from_bytes(data[left:]))
    return _DOTS + from_bytes(data[-kept:])


def _indent(count: int, text: str) -> str:
    pad = _repeat(count, " ")
    return pad + text.replace("\n", f"\n{pad}")


def _nindent(count: int, text: str) -> str:
    return "\n" + _indent(count, text)


def _plural(one: str, many: str, count: int) -> str:
    return one if count == 1 else many


def _quote(*values: Value) -> str:
    return " ".join(quoted(plain(value)) for value in values if value is not None)


def _squote(*values: Value) -> str:
    return " ".join(f"'{plain(value)}'" for value in values if value is not None)


def _cat(*values: Value) -> str:
    return " ".join(plain(value) for value in values if value is not None)


def _to_string(value: Value) -> str:
    return plain(value)


FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {
    "upper": _upper,
    "lower": _lower,
    "title": _title,
    "untitle": _untitle,
    "swapcase": _swapcase,
    "trim": _trim,
    "trimAll": _trim_all,
    "trimall": _trim_all,
    "trimPrefix": _trim_prefix,
    "trimSuffix": _trim_suffix,
    "nospace": _nospace,
    "initials": _initials,
    "contains": _contains,
    "hasPrefix": _has_prefix,
    "hasSuffix": _has_suffix,
    "replace": _replace,
    "repeat": _repeat,
    "trunc": _trunc,
    "substr": _substr,
    "abbrev": _abbrev,
    "abbrevboth": _abbrevboth,
    "indent": _indent,
    "nindent": _nindent,
    "plural": _plural,
    "quote": _quote,
    "squote": _squote,
    "cat": _cat,
    "toString": _to_string,
}
