"""What functions of templates take, as their annotations say it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, get_origin

from load.templates.faults import Fault
from load.templates.instants import Instant
from load.templates.literals import Number
from load.templates.printing import plain, quoted
from load.templates.values import Value, type_of

Items: TypeAlias = Sequence[Any]
"""A parameter that is a list."""
Entries: TypeAlias = Mapping[str, Any]
"""A parameter that is a map; nil is an empty one."""

Literal: TypeAlias = str | bool | Number
"""What a literal is."""

_LONGEST: Final = 30


@dataclass(frozen=True, slots=True)
class Parameter:
    """What an argument must be."""

    wanted: str
    check: Callable[[Value], Value] | None = None
    """Returns the value as the function takes it; raises a Fault. None: anything is taken."""

    def literal(self, value: Literal) -> Value:
        """Return a literal as the function takes it.

        Raises:
            Fault: It doesn't.
        """
        if not isinstance(value, Number):
            return self.check(value) if self.check else value
        if self.wanted == _INTEGER and value.as_int is not None:
            return value.as_int
        return self.check(value.value) if self.check else value.value


def _described(value: Value) -> str:
    if isinstance(value, str):
        text = value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"
        return f"the string {quoted(text)}"
    return plain(value) if isinstance(value, bool | int | float) else type_of(value)


def _kept(wanted: str, *kinds: type) -> Parameter:
    def check(value: Value) -> Value:
        # A bool of Python is an int, too.
        if type(value) in kinds or (isinstance(value, kinds) and type(value) is not bool):
            return value
        raise Fault(f"it takes {wanted} here, not {_described(value)}")

    return Parameter(wanted, check)


def _float(value: Value) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    raise Fault(f"it takes a float here, not {_described(value)}")


def _entries(value: Value) -> Entries:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    raise Fault(f"it takes a map here, not {_described(value)}")


_INTEGER: Final = "an integer"
_PARAMETERS: Final[Mapping[object, Parameter]] = {
    Any: Parameter("anything"),
    int: _kept(_INTEGER, int),
    float: Parameter("a float", _float),
    str: _kept("a string", str),
    bool: _kept("true or false", bool),
    Instant: _kept("a time", Instant),
    Sequence: _kept("a list", list, tuple),
    Mapping: Parameter("a map", _entries),
}


@dataclass(frozen=True, slots=True)
class Signature:
    """A function of templates."""

    name: str
    call: Callable[..., Value]
    """Raises a Fault where it cannot."""
    parameters: Sequence[Parameter]
    least: int
    """How many arguments it needs."""
    more: Parameter | None
    """What all further arguments are; None: there are none."""

    def parameter(self, index: int) -> Parameter:
        """Return what the argument at this index must be."""
        if index < len(self.parameters) or self.more is None:
            return self.parameters[index]
        return self.more

    def refuse_count(self, count: int) -> None:
        """Check the number of arguments.

        Raises:
            Fault: It isn't the right one.
        """
        most = len(self.parameters) if self.more is None else count
        if not self.least <= count <= most:
            least = f"at least {self.least}" if self.more else f"{self.least}"
            noun = "argument" if least.endswith(" 1") or least == "1" else "arguments"
            raise Fault(f"it takes {least} {noun}, not {count}")


def signatures(functions: Mapping[str, Callable[..., Value]]) -> Mapping[str, Signature]:
    """Return what functions take, by their names in templates."""
    return {name: _signature(name, function) for name, function in functions.items()}


def _signature(name: str, function: Callable[..., Value]) -> Signature:
    parameters: list[Parameter] = []
    more: Parameter | None = None
    for parameter in inspect.signature(function).parameters.values():
        annotation = parameter.annotation
        known = _PARAMETERS[get_origin(annotation) or annotation]
        if parameter.kind is parameter.VAR_POSITIONAL:
            more = known
        else:
            parameters.append(known)
    return Signature(name, function, parameters, len(parameters), more)
