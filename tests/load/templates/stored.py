"""What Go renders, stored, so that it can be compared with where there is no Go."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.load.templates import cases
from tests.load.templates.golang import Case, render

PATH: Final = Path(__file__).with_name("rendered.json")
_SOURCE: Final = "Made by `python -m tests.load.templates`: by Go's text/template and sprig 3.2.3"

GROUPS: Final[Mapping[str, list[Case]]] = {
    "syntax": [Case(template) for template in cases.SYNTAX],
    "built-ins": [Case(template) for template in cases.BUILTINS],
    "functions": [Case(template) for template in cases.FUNCTIONS],
    "without functions": [Case(text, functions=False) for text in cases.WITHOUT_FUNCTIONS],
    "refused": [Case(template) for template in cases.REFUSED],
    "lenient": [Case(template) for template in cases.LENIENT],
}
"""All cases, by what they are about."""


def rendered(program: Path) -> dict[str, Any]:
    """Return the whole content of the file, made anew by a program."""
    return {
        "source": _SOURCE,
        **{
            group: [
                {"template": case.template, **result}
                for case, result in zip(of_group, render(program, of_group), strict=True)
            ]
            for group, of_group in GROUPS.items()
        },
    }


def stored() -> dict[str, Any]:
    """Return the content of the file."""
    found: dict[str, Any] = json.loads(PATH.read_text())
    return found
