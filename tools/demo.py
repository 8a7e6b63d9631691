"""`make run`: a demo server on 127.0.0.1:2525 with the folder ./demo.

The folder is written once, by the same code as `gatepost init`. Change its files as you like.

It serves from the source, so that it starts soon after the first `make run`. If `make compiled` has
compiled the source as it is now, it serves from that build.
"""

import os
import shutil
import sys
from pathlib import Path

import click

from gatepost._build import is_compiled
from gatepost.cli.serve import run
from gatepost.cli.shared.lazy import INTERRUPTED
from gatepost.cli.shared.output import print_error
from gatepost.cli.shared.settings import read_config
from gatepost.cli.shared.starter import create, starter
from gatepost.config.listen import InetAddress, ListenAddress
from gatepost.log.os_error import describe_os_error
from gatepost.log.setup import configure_log
from gatepost.net.sockets import ListenFailedError, probe

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools import compiled  # found by the line above

FOLDER = Path("demo")
DOMAIN = "demo.example"

CURL = r"""  printf 'Subject: hello\r\n\r\nIt works.\r\n' | \
    curl -sS smtp://{address}/client.example -T - \
    --mail-from me@client.example --mail-rcpt alice@{domain}{trap}"""
SMTPLIB = (
    """  python3 -c "import smtplib; smtplib.SMTP('{host}', {port}).sendmail('me@client.example',"""
    """ ['alice@{domain}'{trap}], 'Subject: hello\\r\\n\\r\\nIt works.\\r\\n')\""""
)
TEXT = """
This message is accepted. The command prints nothing, and the log gets the line "accepted":

{good}

Show the mail:

  cat {folder}/var/mail/{domain}/alice/new/*

The same message with a trap among its recipients is refused for all of them. The command reports
reply 554, and the log gets the line "refused":

{bad}

The dashboard shows both messages, and why. The server prints a link to it when it starts.

Traps are in {folder}/verybadrcptto, users in {folder}/users. You can change both while it runs.
Press Ctrl-C to stop the server.
"""
PURE = """
The server runs in pure Python. `make compiled` compiles it in one or two minutes. After that
`make run` uses less CPU time, until the source changes.
"""


def main() -> int:
    """Write the folder if it does not exist, print instructions, and serve."""
    _use_compiled_build()
    try:
        if not FOLDER.exists():
            create(FOLDER, starter(DOMAIN))
        file = FOLDER / "gatepost.toml"
        config = read_config(file)
        configure_log(config.log)
        _require_free(config.listen[0].address)
        print(
            instructions(str(config.listen[0].address)), "" if is_compiled() else PURE, flush=True
        )
        run(config, file)
    except ListenFailedError as error:
        print_error(str(error))
        print_error(f"stop the other server, or change [[listen]] in {FOLDER}/gatepost.toml")
        return 1
    except OSError as error:
        print_error(describe_os_error(error))
        return 1
    except click.ClickException as error:
        print_error(error.format_message())
        print_error(
            f"change {FOLDER}/gatepost.toml, or start over without its mail: rm -r {FOLDER}"
        )
        return 1
    except KeyboardInterrupt:  # the second Ctrl-C does not wait for open transactions
        return INTERRUPTED
    return 0


def _use_compiled_build() -> None:
    """Run this script again with the compiled build if there is one of this source."""
    if compiled.is_current() and not is_compiled():
        environment = os.environ | {"PYTHONPATH": str(compiled.TARGET)}  # for the workers too
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)


def _require_free(address: ListenAddress) -> None:
    """Raise `ListenFailedError` if the address is in use, before instructions are printed."""
    if isinstance(address, InetAddress):
        probe(address)


def instructions(address: str) -> str:
    """Return the commands that send mail to the demo."""
    command, another = (
        (CURL, " \\\n    --mail-rcpt-allowfails --mail-rcpt ")
        if shutil.which("curl")
        else (SMTPLIB, ", ")
    )
    trap = f"trap@{DOMAIN}" if command is CURL else f"'trap@{DOMAIN}'"
    host, _, port = address.rpartition(":")
    facts = {"address": address, "host": host.strip("[]"), "port": port, "domain": DOMAIN}
    good = command.format(trap="", **facts)
    bad = command.format(trap=another + trap, **facts)
    return TEXT.format(folder=FOLDER, domain=DOMAIN, good=good, bad=bad)


if __name__ == "__main__":
    sys.exit(main())
