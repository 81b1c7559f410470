"""The words of a template.

Source: https://pkg.go.dev/text/template.
"""

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from load.templates.faults import template_error


class Kind(Enum):
    """What a word is."""

    TEXT = auto()
    OPEN = auto()
    CLOSE = auto()
    SPACE = auto()
    NAME = auto()
    """A function, a keyword, true, false or nil."""
    FIELD = auto()
    """With its dot."""
    DOT = auto()
    VARIABLE = auto()
    """With its dollar."""
    NUMBER = auto()
    CHARACTER = auto()
    STRING = auto()
    PIPE = auto()
    ASSIGN = auto()
    DECLARE = auto()
    COMMA = auto()
    LEFT = auto()
    RIGHT = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A word, and where it begins."""

    kind: Kind
    text: str
    at: int


_SPACE: Final = " \t\r\n"
_TRIM: Final = re.compile(r"-[ \t\r\n]")
_CLOSE: Final = re.compile(r"\}\}|[ \t\r\n]-\}\}")
_COMMENT: Final = re.compile(r"\{\{(?:-[ \t\r\n])?/\*")
_WORD: Final = re.compile(
    r"""
    (?P<CLOSE>\}\}|[ \t\r\n]-\}\})
    |(?P<SPACE>(?:(?![ \t\r\n]-\}\})[ \t\r\n])+)
    |(?P<DECLARE>:=)|(?P<ASSIGN>=)|(?P<PIPE>\|)|(?P<COMMA>,)|(?P<LEFT>\()|(?P<RIGHT>\))
    |(?P<STRING>"(?:[^"\\\n]|\\[^\n])*"|`[^`]*`)
    |(?P<CHARACTER>'(?:[^'\\\n]|\\[^\n])*')
    |(?P<VARIABLE>\$\w*)
    |(?P<NUMBER>[+-]?\.?[0-9](?:[eE][+-](?=[0-9])|[pP][+-](?=[0-9])|[\w.])*)
    |(?P<FIELD>\.\w+)
    |(?P<DOT>\.)
    |(?P<NAME>[^\W\d]\w*)
    """,
    re.VERBOSE,
)
_NEXT: Final = re.compile(r"[ \t\r\n.,|:)(]|\}\}|\Z")
"""What may stand right behind a name."""
_NAMES: Final = frozenset({Kind.NAME, Kind.FIELD, Kind.VARIABLE})
_UNCLOSED: Final = {
    '"': "this string is not closed",
    "`": "this string is not closed",
    "'": "this character is not closed",
}


def lex(text: str) -> Iterator[Token]:
    """Yield the words of a template, at last one END.

    Raises:
        DataError: Something in an action is no word.
    """
    at = 0
    trim = False
    while True:
        start = text.find("{{", at)
        plain = text[at:] if start < 0 else text[at:start]
        if trim:
            plain = plain.lstrip(_SPACE)
        if start >= 0 and _TRIM.match(text, start + 2):
            plain = plain.rstrip(_SPACE)
        if plain:
            yield Token(Kind.TEXT, plain, at)
        if start < 0:
            yield Token(Kind.END, "", len(text))
            return
        if _COMMENT.match(text, start):
            at, trim = _after_comment(text, start)
            continue
        close = yield from _action(text, start)
        at, trim = close.at + len(close.text), close.text != "}}"


def _after_comment(text: str, start: int) -> tuple[int, bool]:
    end = text.find("*/", text.index("/*", start) + 2)
    if end < 0:
        raise template_error(text, start, "this comment is not closed")
    close = _CLOSE.match(text, end + 2)
    if close is None:
        raise template_error(text, end, "a comment must end right before }}")
    return close.end(), close[0] != "}}"


def _action(text: str, start: int) -> Generator[Token, None, Token]:
    at = start + 2
    if _TRIM.match(text, at):
        at += 2
    yield Token(Kind.OPEN, "{{", start)
    depth = 0
    while True:
        match = _WORD.match(text, at)
        if match is None:
            raise template_error(text, at if at < len(text) else start, _trouble(text[at : at + 1]))
        kind = Kind[match.lastgroup or ""]
        word = match[0]
        if kind in _NAMES and not _NEXT.match(text, match.end()):
            wrong = text[match.end()]
            raise template_error(text, at, f"{wrong!r} cannot follow {word}")
        if kind is Kind.LEFT:
            depth += 1
        elif kind is Kind.RIGHT:
            depth -= 1
            if depth < 0:
                raise template_error(text, at, "there is no ( to this )")
        elif kind is Kind.CLOSE and depth:
            raise template_error(text, start, "a ( is not closed")
        token = Token(kind, word, at)
        yield token
        if kind is Kind.CLOSE:
            return token
        at = match.end()


def _trouble(character: str) -> str:
    if not character:
        return "this action is not closed: there is no }}"
    return _UNCLOSED.get(character, f"{character!r} has no meaning in an action")
