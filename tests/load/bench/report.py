"""The figures that have been measured, kept in a file as soon as they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec

from tests.load.bench.figures import FIGURES


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one scenario measured."""

    figures: Mapping[str, float | None]
    """By key; None: not measurable here."""
    samples: Mapping[str, Any] = field(default_factory=dict)
    """What they were computed from."""


@dataclass(slots=True)
class Report:
    """All figures by key, None where one is missing, and how they came about."""

    values: dict[str, float | None]
    meta: dict[str, Any]
    samples: dict[str, Any]
    """By scenario."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the report of a file, an empty one where there is no file."""
        kept: dict[str, Any] = {}
        if path.exists():
            kept = msgspec.json.decode(path.read_bytes())
        return cls(
            values={figure.key: kept.get(figure.key) for figure in FIGURES},
            meta=kept.get("meta", {}),
            samples=kept.get("samples", {}),
        )

    def add(self, scenario: str, outcome: Outcome, meta: Mapping[str, Any]) -> None:
        """Take the figures of a scenario, measured under the circumstances `meta`."""
        self.values.update(outcome.figures)
        self.meta = {**meta}
        self.samples[scenario] = {"measured": {**meta}, **outcome.samples}

    def write(self, path: Path) -> None:
        """Write all figures, the circumstances and the samples, whole or not at all."""
        content = {**self.values, "meta": self.meta, "samples": self.samples}
        self._replace(path, content)

    def write_baseline(self, path: Path) -> None:
        """Write the figures to compare later runs with, without the samples."""
        self._replace(path, {**self.values, "meta": self.meta})

    @staticmethod
    def _replace(path: Path, content: Mapping[str, Any]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
        new.replace(path)
