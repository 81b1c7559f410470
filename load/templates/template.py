"""A template that can be rendered again and again, and sent to other processes."""

import re
from collections.abc import Mapping
from typing import Any, Final

from load.errors import DataError
from load.templates.compiling import compile_tree
from load.templates.functions import BUILTINS, CHANGING, FUNCTIONS, VARYING
from load.templates.functions.maps import deep_copy
from load.templates.parsing import parse_tree

_BYTES: Final = re.compile("[\udc80-\udcff]")


class Template:
    """A template of Go, with the functions that ghz gives it.

    Source: https://pkg.go.dev/text/template, `runner/calldata.go` of ghz, and sprig 3.2.3.
    """

    __slots__ = (
        "_changes",
        "_functions",
        "_run",
        "_slots",
        "_text",
        "has_actions",
        "names",
        "pure",
    )

    def __init__(self, text: str, *, functions: bool) -> None:
        tree = parse_tree(text)
        self._text = text
        self._functions = functions
        self._slots = tree.main.slots
        try:
            self._run = compile_tree(text, tree, FUNCTIONS if functions else BUILTINS)
        except RecursionError:
            raise DataError("template: it is nested too deeply") from None
        self._changes = bool(CHANGING & tree.functions)
        self.has_actions: Final = tree.has_actions
        """Whether anything but its own text can come of it."""
        self.names: Final = tree.names
        """The variables that it surely uses by name."""
        self.pure: Final = not tree.whole and not VARYING & tree.functions
        """Whether the same values of those variables always give the same text."""

    def render(self, variables: Mapping[str, Any]) -> str:
        """Return the text that the template makes of these variables; they are not changed.

        Raises:
            DataError: It cannot be made; the text tells where and why.
        """
        if self._changes:
            variables = deep_copy(variables)
        frame: list[Any] = [None] * self._slots
        frame[:2] = variables, variables
        parts: list[str] = []
        try:
            self._run(frame, variables, parts.append)
        except RecursionError:
            raise DataError("template: it calls itself without end") from None
        text = "".join(parts)
        if text.isascii():
            return text
        # Letters that were cut and put together again are whole; what is left of others is not.
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
        return _BYTES.sub("\ufffd", text)

    def __reduce__(self) -> tuple[Any, ...]:
        return _parse, (self._text, self._functions)


def parse(text: str, *, functions: bool) -> Template:
    """Return a template, whose functions are those of ghz, or Go's own alone.

    Raises:
        DataError: It is none; the text tells where and why.
    """
    return Template(text, functions=functions)


def _parse(text: str, functions: bool) -> Template:  # noqa: FBT001 - Pickles have no keywords.
    return Template(text, functions=functions)
