"""The command `gatepost`: what an administrator types.

Every command is a module of its own, imported when it is asked for. Exit status 0 is fine, 1
failed, 2 wrong usage; errors go to standard error as `gatepost: what, where, what was expected`.
"""

from gatepost.cli.commands import gatepost


def main() -> None:
    """Run the command line; ends the process."""
    gatepost.main(prog_name="gatepost")
