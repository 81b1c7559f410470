"""YAML as ghz reads it.

Source: gopkg.in/yaml.v2, which ghz reads its configurations with: dates stay texts, `1e3` is a
number, `12:30` is none, and a scalar that is to be a text is taken as it is written.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import yaml

from load.errors import ConfigError

_INT: Final = "tag:yaml.org,2002:int"
_FLOAT: Final = "tag:yaml.org,2002:float"
_TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
_NULL: Final = "tag:yaml.org,2002:null"


class _Loader(yaml.SafeLoader):
    """Of the safe tags alone."""


_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] not in (_INT, _FLOAT, _TIMESTAMP)]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _INT,
    re.compile(r"[-+]?(?:0|[1-9][0-9_]*|0[0-7_]+|0b[01_]+|0x[0-9a-fA-F_]+)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$"),
    list("-+0123456789."),
)


def load_yaml(text: str, *, is_textual: Callable[[str], bool]) -> Any:  # noqa: ANN401
    """Return what a document says.

    Args:
        text: The document.
        is_textual: Whether the value of a key at the top is a text, however it looks.

    Raises:
        ConfigError: It is no YAML of the safe tags; the text tells where.
    """
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return {}
        if not isinstance(root, yaml.MappingNode):
            return loader.construct_document(root)
        loader.flatten_mapping(root)
        for key, value in root.value:
            if isinstance(value, yaml.ScalarNode) and is_textual(key.value) and value.tag != _NULL:
                value.tag = "tag:yaml.org,2002:str"
        return loader.construct_document(root)
    except yaml.YAMLError as error:
        raise ConfigError(f"this is no YAML: {_told(error)}") from None
    except RecursionError:
        raise ConfigError("this is no YAML that can be read: it is nested too deeply") from None
    finally:
        loader.dispose()


def _told(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return str(error)
    mark = error.problem_mark
    return f"{error.problem}, line {mark.line + 1}, column {mark.column + 1}"
