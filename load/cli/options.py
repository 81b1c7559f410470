"""The flags, made from the table of options."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from load.config.durations import format_duration
from load.config.options import OPTIONS, Kind, Option
from load.config.values import from_flag
from load.errors import ConfigError

_Command = TypeVar("_Command", bound=Callable[..., Any])


class Flag(click.Option):
    """A flag that the help shows under a heading; of a switch, without its negation."""

    def __init__(self, *declarations: Any, heading: str, **attributes: Any) -> None:  # noqa: ANN401
        super().__init__(*declarations, **attributes)
        self.heading = heading

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the flag and its help."""
        record = super().get_help_record(ctx)
        return record and (record[0].partition(" / ")[0], record[1])


class _Value(click.ParamType[Any]):
    """The value of an option of the table."""

    def __init__(self, option: Option) -> None:
        self.name = option.kind.value
        self._option = option

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it.
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:  # noqa: ANN401
        """Return the value as the configuration has it."""
        try:
            return from_flag(self._option, value)
        except ConfigError as error:
            self.fail(str(error), param, ctx)


class NamedPath(click.ParamType[tuple[str, str]]):
    """A path with a name before it."""

    name = "NAME=PATH"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - as click has it.
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[str, str]:
        """Return both."""
        name, equals, path = str(value).partition("=")
        if not (name and equals and path):
            self.fail(f"{value!r} is not like NAME=PATH", param, ctx)
        return name, path


def configuration_flags(command: _Command) -> _Command:
    """Add a flag for each option; what nobody has set is None."""
    for option in reversed(OPTIONS):
        command = _declared(option)(command)
    return command


def flag_of(field: str) -> Callable[[_Command], _Command]:
    """Return what adds the flag of one option, by its name in `Config`."""
    [option] = [option for option in OPTIONS if option.field == field]
    return _declared(option)


def _declared(option: Option) -> Callable[[_Command], _Command]:
    if option.is_argument:
        return click.argument(option.field, required=False)
    names = [option.field, f"--{option.key}", *([f"-{option.short}"] if option.short else [])]
    attributes: dict[str, Any] = {"default": None, "help": _help(option)}
    if option.kind is Kind.SWITCH:
        names[1] += f"/--no-{option.key}"
    else:
        attributes |= {"type": _Value(option), "metavar": option.kind.value}
    return click.option(*names, cls=Flag, heading=option.group.value, **attributes)


def _help(option: Option) -> str:
    words = f" One of {', '.join(option.words)}." if option.words else ""
    default = option.default
    if option.kind is Kind.DURATION and default:
        default = format_duration(default)
    return f"{option.help}{words}{f'  [default: {default}]' if default else ''}"
