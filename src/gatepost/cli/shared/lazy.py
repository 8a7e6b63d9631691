"""A command group that imports its commands on demand and reports their errors."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import click

from gatepost._imports import import_fast
from gatepost.cli.shared.output import print_error

# The exit status that shells report for a process ended by SIGINT.
INTERRUPTED = 130


class LazyCommand(NamedTuple):
    """The module with the function `command`, and one line of help."""

    module: str
    summary: str


class SuggestingGroup(click.Group):
    """A group whose error for an unknown command names a similar one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command of a command line."""
        names = self.list_commands(ctx)
        if args[0] in names:
            return super().resolve_command(ctx, args)
        import difflib  # noqa: PLC0415 - only for an error

        close = difflib.get_close_matches(args[0], names, n=1, cutoff=0.75)
        if close:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)


class LazyGroup(SuggestingGroup):
    """A group whose commands are the rows of `table`.

    A command returns its exit status; None means 0.
    """

    def __init__(self, *args: Any, table: Mapping[str, LazyCommand], **options: Any) -> None:
        super().__init__(*args, **options)
        self._table = table

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import a command; return None if no command has this name."""
        row = self._table.get(cmd_name)
        if row is None:
            return None
        command: click.Command = import_fast(row.module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands in the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, row.summary) for name, row in self._table.items()])

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> NoReturn:
        """Run a command line and end the process with its exit status."""
        try:
            status = super().main(args, *rest, **options | {"standalone_mode": False})
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.UsageError as error:
            print_error(_with_hint(error))
            sys.exit(error.exit_code)
        except click.ClickException as error:
            print_error(error.format_message())
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            sys.exit(INTERRUPTED)
        sys.exit(status or 0)


def _with_hint(error: click.UsageError) -> str:
    """Return the message of an error and where to find help."""
    message = error.format_message().rstrip(".")
    if error.ctx is None:
        return message
    see = f"see {error.ctx.command_path} --help"
    return f"{message} S{see[1:]}" if message.endswith("?") else f"{message}, {see}"
