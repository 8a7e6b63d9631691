"""The command `gatepost`.

Each command is a module of this package, imported only when it is used; `gatepost.cli.commands`
lists them. Exit status 0 means success, 1 failure, 2 wrong usage. Errors go to standard error as
`gatepost: what is wrong, where, what was expected`.
"""

from gatepost.cli.commands import gatepost


def main() -> None:
    """Run the command line and end the process."""
    gatepost.main(prog_name="gatepost")
