"""Messages from templates: what a call, or a row, makes of JSON with templates in it."""

import base64
import copy
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from load.data.faults import BASE64
from load.data.inputs import read_json
from load.data.messages import MessageType, encoded
from load.errors import DataError
from load.templates import Template, parse

Values = Mapping[str, object]
"""Of the variables."""


class Maker(Protocol):
    """Makes the messages of one call. Can be pickled."""

    @property
    def templates(self) -> Sequence[Template]:
        """All that it renders."""

    def __call__(self, variables: Values) -> Sequence[bytes]:
        """Return the messages, encoded.

        Raises:
            DataError: A template fails, or what it gives is no message.
        """

    def one(self, index: int, variables: Values) -> bytes:
        """Return the message with this index of those, by itself.

        Raises:
            DataError: The same.
        """


class Several:
    """The messages of a stream, some of which may always be the same."""

    def __init__(self, parts: Sequence["bytes | Maker"]) -> None:
        self._parts = parts
        self.templates = [
            template for part in parts if not isinstance(part, bytes) for template in part.templates
        ]

    def __call__(self, variables: Values) -> Sequence[bytes]:
        """Return a message for each part."""
        return [self.one(index, variables) for index in range(len(self._parts))]

    def one(self, index: int, variables: Values) -> bytes:
        """Return one of the messages."""
        part = self._parts[index]
        return part if isinstance(part, bytes) else part.one(0, variables)


class FromText:
    """Renders a text as a whole, and reads it as JSON: an object, or an array of objects."""

    def __init__(self, text: str, message_type: MessageType, *, functions: bool) -> None:
        template = parse(text, functions=functions)
        self.templates = [template]
        self._template = template
        self._type = message_type

    def __call__(self, variables: Values) -> Sequence[bytes]:
        """Return a message for each object."""
        text = self._template.render(variables)
        return [self._type.encode(each) for each in objects(read_json(text))]

    def one(self, index: int, variables: Values) -> bytes:
        """Return the message for one of the objects; if there are fewer now, of those there are."""
        messages = self(variables)
        return messages[index % len(messages)]


class FromObject:
    """Renders the strings of a JSON object one by one.

    Where they are fields of their own, as nearly always, that is all that is done for a call: the
    rest of the message is made once. It is some ten times as fast as reading JSON anew.
    """

    def __init__(
        self, value: dict[str, Any], message_type: MessageType, *, functions: bool
    ) -> None:
        self._value = value
        self._type = message_type
        self._leaves = [
            (path, parse(text, functions=functions)) for path, text in _leaves(value, ())
        ]
        self.templates = [template for _, template in self._leaves]
        self._ready: _Ready | None = None
        self._simple = True

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_ready": None}

    def __call__(self, variables: Values) -> Sequence[bytes]:
        """Return the one message."""
        return [self.one(0, variables)]

    def one(self, _index: int, variables: Values) -> bytes:
        """Return the one message."""
        texts = [template.render(variables) for _, template in self._leaves]
        if self._ready is not None:
            try:
                return self._ready.with_texts(texts)
            except (ValueError, TypeError):
                # A number in another form; or what is wrong, in the words for everything else.
                return self._type.encode(self._with(texts))
        message = self._type.parse(self._with(texts))
        if self._simple:
            self._ready = _ready(message, [path for path, _ in self._leaves])
            self._simple = self._ready is not None
        return encoded(message)

    def _with(self, texts: Sequence[str]) -> dict[str, Any]:
        """Return the JSON object with these texts instead of its templates."""
        value = copy.deepcopy(self._value)
        for (path, _), text in zip(self._leaves, texts, strict=True):
            part: Any = value
            for key in path[:-1]:
                part = part[key]
            part[path[-1]] = text
        return value


class _Ready:
    """A message that is made but for the fields that templates give."""

    def __init__(self, message: Message, setters: Sequence[Callable[[str], None]]) -> None:
        self._message = message
        self._setters = setters
        self._texts: list[str | None] = [None] * len(setters)

    def with_texts(self, texts: Sequence[str]) -> bytes:
        """Return the message with these fields, encoded.

        Raises:
            ValueError: A text isn't of the simple form of its field; or a TypeError.
        """
        known = self._texts
        for index, text in enumerate(texts):
            # Such as a time of the same second.
            if text != known[index]:
                known[index] = None
                self._setters[index](text)
                known[index] = text
        return encoded(self._message)


def _ready(message: Message, paths: Sequence[Sequence[Any]]) -> _Ready | None:
    """Return the message with what sets the fields at some places; None: not all can be set."""
    setters = [setter for path in paths if (setter := _setter(message, path))]
    return _Ready(message, setters) if len(setters) == len(paths) else None


def objects(value: Any) -> Sequence[dict[str, Any]]:  # noqa: ANN401
    """Return the JSON objects of an array, or the one that there is.

    Raises:
        DataError: It is something else.
    """
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(each, dict) for each in found):
        raise DataError("is neither a JSON object nor an array of objects")
    return found


def has_templates(value: Any) -> bool:  # noqa: ANN401
    """Return whether a JSON value has a template in its strings or keys."""
    if isinstance(value, str):
        return "{{" in value
    if isinstance(value, Mapping):
        return any(has_templates(part) for pair in value.items() for part in pair)
    return isinstance(value, list) and any(map(has_templates, value))


def _leaves(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:  # noqa: ANN401
    """Yield the strings with templates, and where each is.

    Raises:
        DataError: A key is a template.
    """
    if isinstance(value, str):
        if has_templates(value):
            yield path, value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            if has_templates(key):
                raise DataError(f"{key!r}: a key cannot be a template by itself")
            yield from _leaves(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from _leaves(part, (*path, index))


_DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]+)?")


def _decimal(text: str) -> float:
    if not _DECIMAL.fullmatch(text):
        raise ValueError(text)
    return float(text)


def _enum(numbers: Mapping[str, int], text: str) -> int:
    return numbers[text] if text in numbers else int(text)


def _base64(text: str) -> bytes:
    if not BASE64.fullmatch(text):
        raise ValueError(text)
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


_CONVERSIONS: Final[Mapping[int, Callable[[str], Any]]] = {
    FieldDescriptor.TYPE_STRING: str,
    FieldDescriptor.TYPE_BYTES: _base64,
    FieldDescriptor.TYPE_DOUBLE: _decimal,
    FieldDescriptor.TYPE_FLOAT: _decimal,
    **dict.fromkeys(
        (
            FieldDescriptor.TYPE_INT32,
            FieldDescriptor.TYPE_INT64,
            FieldDescriptor.TYPE_UINT32,
            FieldDescriptor.TYPE_UINT64,
            FieldDescriptor.TYPE_SINT32,
            FieldDescriptor.TYPE_SINT64,
            FieldDescriptor.TYPE_FIXED32,
            FieldDescriptor.TYPE_FIXED64,
            FieldDescriptor.TYPE_SFIXED32,
            FieldDescriptor.TYPE_SFIXED64,
        ),
        int,
    ),
}
"""By the type of a field: what protobuf's JSON makes of a text that this takes."""
_TIMES: Final = frozenset({"google.protobuf.Timestamp", "google.protobuf.Duration"})


def _setter(message: Any, path: Sequence[Any]) -> Callable[[str], None] | None:  # noqa: ANN401
    """Return what sets the field at a place of a JSON object; None: that isn't so simple."""
    *above, last = path
    field: FieldDescriptor | None = None
    for step in above:
        if isinstance(step, str):
            field = _field(message, step)
            message = getattr(message, field.name) if field else None
        else:
            message = message[step]
        if message is None:
            return None
    if isinstance(last, str):
        field = _field(message, last)
    if field is None:
        return None
    name, type_name = field.name, field.message_type.full_name if field.message_type else ""
    if type_name in _TIMES and isinstance(last, str) and not field.is_repeated:
        part: Any = getattr(message, name)
        from_text: Callable[[str], None] = part.FromJsonString
        return from_text
    convert = _CONVERSIONS.get(field.type)
    if field.enum_type is not None:
        numbers = {name: each.number for name, each in field.enum_type.values_by_name.items()}
        convert = partial(_enum, numbers)
    if convert is None or field.is_repeated is isinstance(last, str):
        return None
    if isinstance(last, int):
        elements = message
        return lambda text: operator.setitem(elements, last, convert(text))
    return lambda text: setattr(message, name, convert(text))


def _field(message: Any, key: str) -> FieldDescriptor | None:  # noqa: ANN401
    """Return a field by its name in JSON; None: the message isn't one whose JSON has its fields."""
    descriptor = getattr(message, "DESCRIPTOR", None)
    if descriptor is None or descriptor.full_name.startswith("google.protobuf."):
        return None
    by_json_name = {field.json_name: field for field in descriptor.fields}
    found: FieldDescriptor | None = by_json_name.get(key) or descriptor.fields_by_name.get(key)
    return found
