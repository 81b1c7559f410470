"""The tree of a template. Positions are indexes into its text."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from load.templates.literals import Number


@dataclass(frozen=True, slots=True)
class Literal:
    """A string, a bool or a number."""

    at: int
    value: str | bool | Number


@dataclass(frozen=True, slots=True)
class Nil:
    """The literal nil."""

    at: int


@dataclass(frozen=True, slots=True)
class Dot:
    """The value that the template is at."""

    at: int


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable, by its slot: `$` has the first one."""

    at: int
    name: str
    slot: int


@dataclass(frozen=True, slots=True)
class Function:
    """The name of a function, which is called."""

    at: int
    name: str


@dataclass(frozen=True, slots=True)
class Fields:
    """Fields of fields of a value."""

    at: int
    of: "Operand"
    names: Sequence[str]


@dataclass(frozen=True, slots=True)
class Command:
    """A value, or a function with its arguments."""

    at: int
    operands: Sequence["Operand"]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each of which is given the value of the one before as its last argument."""

    at: int
    slots: Sequence[int]
    """The variables that its value is put in."""
    commands: Sequence[Command]


Operand: TypeAlias = Literal | Nil | Dot | Variable | Function | Fields | Pipeline


@dataclass(frozen=True, slots=True)
class Text:
    """Text that is put out as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Print:
    """An action that puts a value out; one that sets a variable doesn't."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class If:
    """Either the one or the other."""

    pipeline: Pipeline
    body: Sequence["Node"]
    otherwise: Sequence["Node"]


@dataclass(frozen=True, slots=True)
class With:
    """As `If`, but in its body the dot is the value."""

    pipeline: Pipeline
    body: Sequence["Node"]
    otherwise: Sequence["Node"]


@dataclass(frozen=True, slots=True)
class Range:
    """The body for each element; the other one if there is none."""

    pipeline: Pipeline
    body: Sequence["Node"]
    otherwise: Sequence["Node"]


@dataclass(frozen=True, slots=True)
class Break:
    """The end of a range."""


@dataclass(frozen=True, slots=True)
class Continue:
    """On with the next element of a range."""


@dataclass(frozen=True, slots=True)
class Invoke:
    """A defined template, with a dot of its own."""

    at: int
    name: str
    pipeline: Pipeline | None


Node: TypeAlias = Text | Print | If | With | Range | Break | Continue | Invoke


@dataclass(frozen=True, slots=True)
class Body:
    """What is executed with variables of its own."""

    nodes: Sequence[Node]
    slots: int
    """How many variables it has."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A whole template."""

    main: Body
    definitions: dict[str, Body] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    """The fields of the data that are surely used by name."""
    functions: frozenset[str] = frozenset()
    """Those that are used."""
    whole: bool = False
    """Whether the data may be used otherwise than by the names of its fields."""
    has_actions: bool = False
