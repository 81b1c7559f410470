"""Templates beside Go itself. It is compiled for that: slow."""

from pathlib import Path

import pytest

from load.errors import DataError
from load.templates import parse
from load.templates.functions import FUNCTIONS
from tests.load.templates import golang, stored
from tests.load.templates.cases import VARIABLES
from tests.load.templates.chance import templates

pytestmark = pytest.mark.slow
_OF_GHZ = {"newUUID", "randomString", "randomInt"}
_TYPES = ("wrong type for value", "expected int; got int64")
"""How Go refuses one type of integers where it wants another, which is of no concern here."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lend the program that renders by Go."""
    program = golang.build(tmp_path_factory.mktemp("go"))
    if program is None:
        pytest.skip("there is no Go")
    return program


def test_stored(program: Path) -> None:
    """What is stored is what Go renders."""
    assert stored.stored() == stored.rendered(program)


def test_names(program: Path) -> None:
    """Every function but those of ghz is one that Go or sprig has."""
    names = sorted(set(FUNCTIONS) - _OF_GHZ)
    cases = [golang.Case(f"{{{{if false}}}}{{{{{name}}}}}{{{{end}}}}") for name in names]
    found = golang.render(program, cases)
    assert [name for name, result in zip(names, found, strict=True) if "error" in result] == []


@pytest.mark.parametrize("seed", [1, 2])
def test_by_chance(program: Path, seed: int) -> None:
    """Of templates made by chance, both render the same, or refuse the same."""
    made = list(templates(seed, 3000))
    same = refused = 0
    for template, result in zip(
        made, golang.render(program, [golang.Case(each) for each in made]), strict=True
    ):
        text = result.get("text")
        try:
            ours = parse(template, functions=True).render(VARIABLES)
        except DataError:
            # Where it is more strict than Go: among the cases.
            refused += text is not None
            continue
        if text is None:
            assert any(reason in result["error"] for reason in _TYPES), (template, result)
        else:
            assert (template, ours) == (template, text)
            same += 1
    assert same > len(made) / 2
    assert refused < len(made) / 15
