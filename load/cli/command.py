"""How the commands behave: their help, and what they say of errors."""

from typing import Any, Final

import click

from load.cli.options import Flag
from load.errors import LoadError

INTERRUPTED: Final = 130
"""The exit code where Ctrl-C has left nothing to judge."""


class WrongUse(click.UsageError):
    """Flags that cannot be used; ghz exits with 1, whatever is wrong."""

    exit_code = 1


class Command(click.Command):
    """Tells of an expected error in one line, and shows flags under headings."""

    def make_context(self, *arguments: Any, **extra: Any) -> click.Context:  # noqa: ANN401
        """Return the context; a flag that is wrong is an error like any other."""
        try:
            return super().make_context(*arguments, **extra)
        except click.UsageError as error:
            raise WrongUse(error.format_message(), error.ctx) from error

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - as click has it.
        """Run the command."""
        try:
            return super().invoke(ctx)
        except LoadError as error:
            raise click.ClickException(str(error)) from error
        except KeyboardInterrupt:
            ctx.exit(INTERRUPTED)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the flags, heading by heading."""
        headings: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record and isinstance(parameter, click.Option):
                heading = parameter.heading if isinstance(parameter, Flag) else "Help"
                headings.setdefault(heading, []).append(record)
        for heading, records in headings.items():
            with formatter.section(heading):
                formatter.write_dl(records)


class CommandWithReport(Command):
    """A command whose first argument may be the name of another one.

    Not a group of commands: those take no flags after their argument, and ghz does.
    """

    def __init__(self, *arguments: Any, **attributes: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **attributes)
        self.others: dict[str, click.Command] = {}

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401
    ) -> click.Context:
        """Return the context of the command that is asked for."""
        other = self.others.get(args[0]) if args else None
        if other:
            return other.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401
        """Run the command that is asked for."""
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)
