"""Mail servers that ask Gatepost: the starter configuration for each, and its own settings.

The texts are those of the documentation; a test compares them.
"""

from collections.abc import Mapping
from typing import NamedTuple

from gatepost.cli.shared.starter import template

# The parts of the starter configuration that are replaced, by their first and the next line.
_LISTEN = ("[[listen]]\n", "[recipients]\n")
_DOMAINS = ("# Your domains.", "domains = ")
_KNOWN = ("# The existing addresses", "# user+anything")
_RECIPIENTS = ("recipients = ", "\n[log]")
_ROUTE = ("# The target of accepted mail.", "# Plugins are called")
_OF_THE_MAIL_SERVER = "# The domains that the mail server receives mail for.\n"
_LIMIT = "recipients = 1000                    # at least the limit of the mail server\n"
_NO_LIST = """\
# The mail server refuses addresses that do not exist. With a list of the existing ones, such as
# "file:users", Gatepost refuses others too, and learned traps have an effect.
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
    listen = f'[[listen]]\naddress = "{server.address}"\nprotocol = "{server.protocol}"\n\n'
    parts = {
        _LISTEN: listen,
        _DOMAINS: _OF_THE_MAIL_SERVER,
        _KNOWN: _NO_LIST,
        _ROUTE: "",
        _RECIPIENTS: _LIMIT,
    }
    config = texts["gatepost.toml"]
    for part, instead in parts.items():
        config = _replaced(config, part, instead)
    return {name: text for name, text in texts.items() if name != "users"} | {
        "gatepost.toml": config
    }


def _replaced(text: str, part: tuple[str, str], by: str) -> str:
    first, following = part
    before, _, rest = text.partition(first)
    _, _, behind = rest.partition(following)
    return f"{before}{by}{following}{behind}"
