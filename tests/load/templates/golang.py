"""Go's own templates, by a program that is built of `main.go`."""

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.load.templates.cases import VARIABLES


@dataclass(frozen=True, slots=True)
class Case:
    """A template that is rendered."""

    template: str
    functions: bool = True
    """Whether those of sprig are there."""
    variables: dict[str, Any] = field(default_factory=lambda: VARIABLES)


def build(folder: Path) -> Path | None:
    """Return the program, built in this folder; None where there is no Go."""
    go = shutil.which("go")
    if go is None:
        return None
    program = folder / "templates"
    subprocess.run(
        [go, "build", "-o", program, "."],
        cwd=Path(__file__).parent,
        check=True,
    )
    return program


def render(program: Path, cases: Sequence[Case]) -> list[dict[str, str]]:
    """Return what Go renders: a `text`, or why there is none as `error`, for each."""
    done = subprocess.run(
        [program],
        input=json.dumps([asdict(case) for case in cases]),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: list[dict[str, str]] = json.loads(done.stdout)
    return found
