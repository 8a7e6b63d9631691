"""`gatepost completion`: the script that completes commands, options and values in a shell."""

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_GATEPOST_COMPLETE"


@click.command("completion", epilog="Example: gatepost completion fish | source")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script for a shell. Add it to the start-up file of the shell.

    In bash and zsh: eval "$(gatepost completion bash)"
    """
    complete = get_completion_class(shell)
    assert complete is not None
    click.echo(complete(ctx.find_root().command, {}, "gatepost", VARIABLE).source())
