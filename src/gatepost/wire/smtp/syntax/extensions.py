"""The SMTP extensions, as one table.

A new parameter is a row here and, if its value has a new form, a reader in
`gatepost.wire.smtp.syntax.values`. A new command also needs an event (`gatepost.wire.events`), a
parser, and a row in the two tables of `gatepost.wire.smtp.commands`.
"""

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from gatepost.wire.smtp.syntax.values import (
    ENVELOPE_ID,
    NO_VALUE,
    NOTIFY,
    ORIGINAL_RECIPIENT,
    SIZE,
    XTEXT,
    Parameter,
    one_of,
)

_NONE: Mapping[str, Parameter] = {}


class Offer(Enum):
    """The clients that an extension exists for."""

    ALL = "all"  # understood; the reply to EHLO lists it for every client
    SOME = "some"  # understood; the session decides which clients see the keyword
    ENABLED = "enabled"  # understood only if the caller adds it to `SmtpServer.extensions`


class Extension(NamedTuple):
    """One extension: its offer, its MAIL and RCPT parameters, and the commands it adds."""

    offer: Offer
    mail: Mapping[str, Parameter] = _NONE
    rcpt: Mapping[str, Parameter] = _NONE
    commands: tuple[str, ...] = ()


# By EHLO keyword, in the order of the reply to EHLO.
TABLE: dict[str, Extension] = {
    "PIPELINING": Extension(Offer.ALL),  # RFC 2920
    "SIZE": Extension(Offer.ALL, {"SIZE": SIZE}),  # RFC 1870
    "8BITMIME": Extension(Offer.ALL, {"BODY": one_of("7BIT", "8BITMIME")}),  # RFC 6152
    "SMTPUTF8": Extension(Offer.ALL, {"SMTPUTF8": NO_VALUE}),  # RFC 6531
    "CHUNKING": Extension(Offer.ALL, commands=("BDAT",)),  # RFC 3030
    "ENHANCEDSTATUSCODES": Extension(Offer.ALL),  # RFC 2034
    "LIMITS": Extension(Offer.ALL),  # RFC 9422
    "DSN": Extension(  # RFC 3461
        Offer.SOME,
        {"RET": one_of("FULL", "HDRS"), "ENVID": ENVELOPE_ID},
        {"NOTIFY": NOTIFY, "ORCPT": ORIGINAL_RECIPIENT},
    ),
    "STARTTLS": Extension(Offer.ENABLED, commands=("STARTTLS",)),  # RFC 3207
    "AUTH": Extension(Offer.ENABLED, {"AUTH": XTEXT}, commands=("AUTH",)),  # RFC 4954
    "XCLIENT": Extension(Offer.ENABLED, commands=("XCLIENT",)),  # Postfix, XCLIENT_README
}

# Keywords that are understood unless the caller chooses otherwise.
EXTENSIONS = frozenset(keyword for keyword, row in TABLE.items() if row.offer is not Offer.ENABLED)
# Keywords of the reply to EHLO for every client.
ANNOUNCED = tuple(keyword for keyword, row in TABLE.items() if row.offer is Offer.ALL)
# Commands that exist only while their extension is enabled, with its keyword.
OPTIONAL_COMMANDS: dict[str, str] = {
    verb: keyword
    for keyword, row in TABLE.items()
    if row.offer is Offer.ENABLED
    for verb in row.commands
}
# By command: the parameters by keyword, each with the extension that adds it.
PARAMETERS: dict[str, dict[str, tuple[str, Parameter]]] = {
    "MAIL": {name: (key, one) for key, row in TABLE.items() for name, one in row.mail.items()},
    "RCPT": {name: (key, one) for key, row in TABLE.items() for name, one in row.rcpt.items()},
}
