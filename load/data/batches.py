"""From data to what each call is given: messages that stay, or what makes them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

from load.calls import Method
from load.data.binary import split
from load.data.inputs import Given, read_json
from load.data.making import FromObject, FromText, Maker, Several, has_templates, objects
from load.data.messages import MessageType, request_type
from load.errors import DataError

Messages: TypeAlias = Sequence[bytes]
Batch: TypeAlias = Messages | Maker
"""The messages of one call, or what makes them."""


def batches_of(
    given: Given, method: Method, *, templates: bool = True, functions: bool = True
) -> Sequence[Batch]:
    """Return what calls are given in turn: if the client streams, one batch has everything.

    Args:
        given: The data.
        method: What is called.
        templates: Whether templates in the data are rendered.
        functions: Whether these have functions.

    Raises:
        DataError: It makes no message; the text tells where.
    """
    message_type = request_type(method)
    streams = method.kind.client_streams
    with named(given.where):
        if given.binary:
            messages = split(given.binary, message_type)
            return [messages] if streams else [(message,) for message in messages]
        value = given.value
        if given.text:
            try:
                value = read_json(given.text)
            except DataError:
                if not templates or not has_templates(given.text):
                    raise
                return [FromText(given.text, message_type, functions=functions)]
        found = objects(value)
        if not found and not streams:
            raise DataError("is an empty array")
    renderer = _Renderer(message_type, templates=templates, functions=functions)
    if streams:
        return [_stream(value, found, given.where, renderer)]
    parts = _parts(value, found, given.where, renderer)
    return [(part,) if isinstance(part, bytes) else part for part in parts]


class _Renderer:
    """Makes messages, or what makes them, of JSON."""

    def __init__(self, message_type: MessageType, *, templates: bool, functions: bool) -> None:
        self._type = message_type
        self._templates = templates
        self._functions = functions

    def part(self, value: dict[str, Any]) -> bytes | Maker:
        """Return the message of a JSON object, or what makes it.

        Raises:
            DataError: It says no message, or has a template that isn't one.
        """
        if not self.renders(value):
            return self._type.encode(value)
        try:
            return FromObject(value, self._type, functions=self._functions)
        except DataError as error:
            # Maybe it is one template for all of it.
            return self.whole(value, otherwise=error)

    def whole(self, value: object, *, otherwise: DataError) -> Maker:
        """Return what makes the messages of JSON that is one template; else raise that error."""
        text = json.dumps(value, ensure_ascii=False, default=str)
        try:
            return FromText(text, self._type, functions=self._functions)
        except DataError:
            raise otherwise from None

    def renders(self, value: object) -> bool:
        """Return whether there is anything to render in a JSON value."""
        return self._templates and has_templates(value)


def _stream(
    value: object, found: Sequence[dict[str, Any]], where: str, renderer: _Renderer
) -> Batch:
    try:
        parts = _parts(value, found, where, renderer)
    except DataError as error:
        if not renderer.renders(value):
            raise
        # Variables that one message sets may be used by another.
        return renderer.whole(value, otherwise=error)
    fixed = [part for part in parts if isinstance(part, bytes)]
    return fixed if len(fixed) == len(parts) else Several(parts)


def _parts(
    value: object, found: Sequence[dict[str, Any]], where: str, renderer: _Renderer
) -> Sequence[bytes | Maker]:
    parts = []
    for index, each in enumerate(found):
        with named(f"{where}[{index}]" if isinstance(value, list) else where):
            parts.append(renderer.part(each))
    return parts


@contextmanager
def named(where: str) -> Iterator[None]:
    """Put before errors where they are."""
    try:
        yield
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
