"""Passwords for commands: from a prompt, or from standard input."""

import sys

import click

from gatepost.wire.sasl.prepare import MAX_PASSWORD

password_option = click.option(
    "--password-stdin",
    "from_stdin",
    is_flag=True,
    help="Read the password from standard input, one line.",
)


def read_password(name: str, *, from_stdin: bool) -> bytes:
    """Return the password of a user, without its line end; prompts for it twice."""
    if from_stdin:
        line = sys.stdin.buffer.readline(MAX_PASSWORD + 2)
        return line.removesuffix(b"\n").removesuffix(b"\r")
    text: str = click.prompt(
        f"Password for {name}", hide_input=True, confirmation_prompt=True, err=True
    )
    return text.encode()
