"""`gatepost table`: look keys up in a table."""

from pathlib import Path

import click

from gatepost.cli.shared.asked_tables import ask
from gatepost.cli.shared.output import print_json, print_line
from gatepost.cli.shared.settings import DEFAULT_FILE, config_option, json_option, read_config
from gatepost.config.schema import Config
from gatepost.log.printable import printable
from gatepost.log.setup import configure_command_log


@click.command(epilog="Example: gatepost table lmdb:/etc/postfix/users.lmdb kim@example.com")
@click.argument("spec", metavar="TABLE")
@click.argument("keys", nargs=-1, required=True, metavar="KEY...")
@config_option
@json_option
def command(spec: str, keys: tuple[str, ...], *, file: Path, as_json: bool) -> int:
    """Look keys up in a table, as `postmap -q` does.

    Keys are looked up as they are typed. For one key the value is printed, for several each key
    that the table has, a tab and the value. TABLE is a type and what it needs, such as
    texthash:PATH, or sql:NAME with a table [sql.NAME] in the configuration.

    The exit status is 0 if the table has all keys, and 1 if it lacks one or cannot answer.
    """
    configure_command_log()
    without_file = file == DEFAULT_FILE and not file.exists()
    found = ask(Config() if without_file else read_config(file), spec, keys)
    if as_json:
        print_json({key: found.get(key) for key in keys})
    else:
        for key in dict.fromkeys(keys):
            if key in found:
                click.echo(f"{printable(key)}\t" if len(keys) > 1 else "", nl=False)
                print_line(found[key])
    return 0 if all(key in found for key in keys) else 1
