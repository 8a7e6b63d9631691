"""Mail servers that ask Gatepost: the starter configuration for each, and its own settings.

The texts are those of the documentation; a test compares them.
"""

from collections.abc import Mapping
from typing import NamedTuple

from gatepost.cli.shared.starter import template

_LISTEN = '[[listen]]\naddress = "127.0.0.1:2525"\n'
_ROUTE = "# The target of accepted mail."
_KNOWN = 'known = ["file:users"]\n'
_NO_LIST = """\
# The mail server refuses unknown addresses. With a list, Gatepost does too, and learned traps work.
known = []
"""


class MailServer(NamedTuple):
    """A mail server: its name, how it asks Gatepost, and its file for the settings in `text`."""

    name: str
    protocol: str
    address: str
    file: str
    text: str

    @property
    def settings(self) -> str:
        """Return the settings of the mail server."""
        return template(f"asking/{self.text}.txt")


POLICY = "127.0.0.1:10040"
MILTER = "127.0.0.1:8891"

MAIL_SERVERS: Mapping[str, MailServer] = {
    "postfix": MailServer("Postfix", "milter", MILTER, "main.cf", "postfix"),
    "postfix-policy": MailServer("Postfix", "policy", POLICY, "main.cf", "postfix-policy"),
    "exim": MailServer("Exim", "policy", POLICY, "the configuration of Exim", "exim"),
    "opensmtpd": MailServer("OpenSMTPD", "policy", POLICY, "smtpd.conf", "opensmtpd"),
    "sendmail": MailServer("Sendmail", "milter", MILTER, "sendmail.mc", "sendmail"),
}


def for_mail_server(texts: Mapping[str, str], server: MailServer) -> dict[str, str]:
    """Return the files of a starter folder for a mail server that asks, and that delivers."""
    before, _, rest = texts["gatepost.toml"].partition(_ROUTE)
    _, _, behind = rest.partition("\n\n")
    listen = f'[[listen]]\naddress = "{server.address}"\nprotocol = "{server.protocol}"\n'
    config = f"{before}{behind}".replace(_LISTEN, listen).replace(_KNOWN, _NO_LIST)
    return {**texts, "gatepost.toml": config}
