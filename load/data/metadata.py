"""The metadata of calls."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from load.calls import Metadata
from load.data.inputs import read_json
from load.data.making import Values, has_templates
from load.errors import DataError
from load.targets.headers import BINARY, header
from load.templates import Template, parse


class FromPairs:
    """Renders each value by itself."""

    def __init__(self, pairs: Mapping[str, str], *, functions: bool) -> None:
        if any(map(has_templates, pairs)):
            raise DataError("a key cannot be a template by itself")
        self._pairs = [
            (key, parse(value, functions=functions) if has_templates(value) else value)
            for key, value in pairs.items()
        ]
        self.templates = [each for _, each in self._pairs if isinstance(each, Template)]

    def __call__(self, variables: Values) -> Metadata:
        """Return the metadata of a call.

        Raises:
            DataError: A template fails, or gives what gRPC does not take.
        """
        return tuple(
            _pair(key, value.render(variables) if isinstance(value, Template) else value)
            for key, value in self._pairs
        )


class FromText:
    """Renders a text as a whole, and reads it as JSON."""

    def __init__(self, text: str, *, functions: bool) -> None:
        self._template = parse(text, functions=functions)
        self.templates = [self._template]

    def __call__(self, variables: Values) -> Metadata:
        """Return the metadata of a call.

        Raises:
            DataError: The template fails, or what it gives isn't JSON, or none for metadata.
        """
        return fixed(_checked(read_json(self._template.render(variables))))


Maker = FromPairs | FromText


def metadata_of(
    given: str | Mapping[str, str], *, templates: bool = True, functions: bool = True
) -> Metadata | Maker:
    """Return metadata, or what makes it for each call.

    Args:
        given: By key; a text has it in JSON, or will when it is rendered.
        templates: Whether templates are rendered.
        functions: Whether these have functions.

    Raises:
        DataError: It is no metadata, or a template isn't one.
    """
    if isinstance(given, str):
        try:
            pairs = _checked(read_json(given))
        except DataError:
            if not templates or not has_templates(given):
                raise
            return FromText(given, functions=functions)
    else:
        pairs = given
    if not templates or not has_templates(pairs):
        return fixed(pairs)
    try:
        return FromPairs(pairs, functions=functions)
    except DataError as error:
        # Maybe it is one template for all of it.
        try:
            return FromText(json.dumps(pairs, ensure_ascii=False), functions=functions)
        except DataError:
            raise error from None


def fixed(pairs: Mapping[str, str]) -> Metadata:
    """Return metadata as it is sent; values of keys that end with `-bin` are in base64.

    Raises:
        DataError: It is none.
    """
    return tuple(_pair(key, value) for key, value in pairs.items())


def _pair(key: str, value: str) -> tuple[str, str | bytes]:
    if not key.lower().endswith(BINARY):
        return header(key, value)
    try:
        return header(key, base64.b64decode(value, validate=True))
    except (binascii.Error, ValueError):
        raise DataError(f"the value of {key} is no base64: {value!r}") from None


def _checked(value: Any) -> Mapping[str, str]:  # noqa: ANN401
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise DataError("is no JSON object of strings")
    return value
