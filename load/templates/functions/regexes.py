"""Regular expressions. Source: the functions of sprig, and the package regexp of Go.

Python's own ones do the work. What they understand differently is translated, or refused.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Final

from load.templates.faults import Fault
from load.templates.printing import quoted
from load.templates.values import Value

_POSIX: Final = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7f", "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f", "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~",
    "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ", "upper": "A-Z", "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_TOKEN: Final = re.compile(
    r"""
    \\Q(?P<literal>.*?)(?:\\E|\Z)
    |\\x\{(?P<code>[0-9a-fA-F]{1,6})\}
    |(?P<white>\\[sS])
    |(?P<end>\\z)
    |(?P<escape>\\(?:[dDwWbBAtnrfva]|x[0-9a-fA-F]{2}|[^\w\s]))
    |(?P<group>\(\?(?:P?<(?P<name>\w+)>|(?P<flags>[ims]*)(?P<colon>[:)])))
    |(?P<unknown>\\|\(\?)
    |(?P<repeat>(?:[*+?]|\{\d+(?:,\d*)?\})\??(?P<twice>[*+?]|\{\d+(?:,\d*)?\})?)
    |(?P<set>\[\^?\]?)
    |(?P<dollar>\$)
    |(?P<brace>[{}])
    |(?P<plain>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_IN_SET: Final = re.compile(
    r"""
    \[:(?P<not>\^?)(?P<posix>\w+):\]
    |\\x\{(?P<code>[0-9a-fA-F]{1,6})\}
    |(?P<white>\\s)
    |(?P<escape>\\(?:[dDwWtnrfva]|x[0-9a-fA-F]{2}|[^\w\s]))
    |(?P<unknown>\\)
    |(?P<close>\])
    |(?P<plain>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_IGNORING_CASE: Final = re.compile(r"\(\?[ms]*i")
_WHITE: Final = r"\t\n\f\r "
_REPLACED: Final = re.compile(r"\$(?:\$|(?P<name>\w+)|\{(?P<braced>\w+)\})")


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    translated, flags = _translated(pattern)
    if not pattern.isascii() and _IGNORING_CASE.search(pattern):
        raise Fault(f"(?i) beside letters that are not ASCII is not supported: {quoted(pattern)}")
    start = f"(?{flags})" if flags else ""
    try:
        return re.compile(start + translated, re.ASCII)
    except (re.error, OverflowError) as error:
        raise Fault(f"{quoted(pattern)} is no regular expression: {error}") from None


def _translated(pattern: str) -> tuple[str, str]:
    parts: list[str] = []
    flags = ""
    at = 0
    while at < len(pattern):
        match = _TOKEN.match(pattern, at)
        if match is None or match["unknown"] or match["twice"]:
            rest = quoted(pattern[at : at + 4])
            raise Fault(f"{rest} in the regular expression {quoted(pattern)} is not supported")
        at = match.end()
        if match["set"]:
            text, at = _set(pattern, match["set"], at)
            parts.append(text)
        elif match["colon"] == ")":
            if parts:
                raise Fault(f"flags must stand at the beginning of {quoted(pattern)}")
            flags += match["flags"]
        else:
            parts.append(_part(match, multiline="m" in flags))
    return "".join(parts), "".join(sorted(set(flags)))


def _part(match: re.Match[str], *, multiline: bool) -> str:
    simple: Mapping[str, Callable[[str], str]] = {
        "literal": re.escape,
        "code": _character,
        "white": lambda text: f"[{'^' if text == chr(92) + 'S' else ''}{_WHITE}]",
        "end": lambda _: r"\Z",
        # Python's $ also matches before the last line end.
        "dollar": lambda text: text if multiline else r"\Z",
        "brace": re.escape,
        "name": lambda name: f"(?P<{name}>",
    }
    for kind, translate in simple.items():
        if match[kind] is not None:
            return translate(match[kind])
    return match[0]


def _character(code: str) -> str:
    number = int(code, 16)
    if number > 0x10FFFF:  # noqa: PLR2004 - Unicode.
        raise Fault(f"{code} is no character")
    return re.escape(chr(number))


def _set(pattern: str, start: str, at: int) -> tuple[str, int]:
    """Return a set of characters for Python, and where it ends."""
    parts = [start.rstrip("]"), r"\]" if start.endswith("]") else ""]
    while match := _IN_SET.match(pattern, at):
        at = match.end()
        if match["close"]:
            return "".join(parts) + "]", at
        if match["unknown"] or match["not"] or (match["posix"] and match["posix"] not in _POSIX):
            rest = quoted(pattern[match.start() : at + 1])
            raise Fault(f"{rest} in the regular expression {quoted(pattern)} is not supported")
        if match["posix"]:
            parts.append(_POSIX[match["posix"]])
        elif match["code"]:
            parts.append(_character(match["code"]))
        elif match["white"]:
            parts.append(_WHITE)
        elif match["plain"] and match["plain"] in "[&~|":
            # Some day, these may mean something in a set of Python.
            parts.append(f"\\{match['plain']}")
        else:
            parts.append(match[0])
    raise Fault(f"a [ is not closed in the regular expression {quoted(pattern)}")


def _matches(pattern: str, text: str) -> Iterator[re.Match[str]]:
    """Yield the matches that Go finds: no empty one right behind another."""
    end = -1
    for match in _compiled(pattern).finditer(text):
        if match.end() > match.start() or match.start() != end:
            yield match
        end = match.end()


def _match(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text) is not None


def _find(pattern: str, text: str) -> str:
    match = _compiled(pattern).search(text)
    return match[0] if match else ""


def _find_all(pattern: str, text: str, count: int) -> Sequence[str]:
    found = [match[0] for match in _matches(pattern, text)]
    return found if count < 0 else found[:count]


def _replace_all(pattern: str, text: str, replacement: str) -> str:
    return _replaced(pattern, text, lambda match: _expanded(replacement, match))


def _replace_all_literal(pattern: str, text: str, replacement: str) -> str:
    return _replaced(pattern, text, lambda _: replacement)


def _replaced(pattern: str, text: str, replacement: Callable[[re.Match[str]], str]) -> str:
    parts: list[str] = []
    at = 0
    for match in _matches(pattern, text):
        parts += [text[at : match.start()], replacement(match)]
        at = match.end()
    return "".join([*parts, text[at:]])


def _expanded(replacement: str, match: re.Match[str]) -> str:
    def group(reference: re.Match[str]) -> str:
        name = reference["name"] or reference["braced"]
        if name is None:
            return "$"
        try:
            return match[int(name) if name.isdecimal() else name] or ""
        except IndexError:
            raise Fault(f"there is no group {name} for {reference[0]}") from None

    return _REPLACED.sub(group, replacement)


def _split(pattern: str, text: str, count: int) -> Sequence[str]:
    if not count:
        return []
    parts: list[str] = []
    at = 0
    for match in _matches(pattern, text):
        if 0 < count <= len(parts) + 1:
            break
        if match.end() == 0 or (match.start() == match.end() == len(text)):
            continue
        parts.append(text[at : match.start()])
        at = match.end()
    return [*parts, text[at:]]


def _quote_meta(text: str) -> str:
    return re.sub(r"[\\.+*?()|\[\]{}^$]", r"\\\g<0>", text)


_STRICT: Final[Mapping[str, Callable[..., Value]]] = {
    "regexMatch": _match,
    "regexFind": _find,
    "regexFindAll": _find_all,
    "regexReplaceAll": _replace_all,
    "regexReplaceAllLiteral": _replace_all_literal,
    "regexSplit": _split,
}

FUNCTIONS: Final[Mapping[str, Callable[..., Value]]] = {
    **_STRICT,
    **{f"must{name[0].upper()}{name[1:]}": function for name, function in _STRICT.items()},
    "regexQuoteMeta": _quote_meta,
}
