"""Commands and parameters that plugins add, see `gatepost.model.additions`.

A command of a plugin may come at any point of a session outside of content, and changes no state.
It can be sent ahead (RFC 2920) like a command that is not recognised.

Security: the commands and parameters of the server, also those of extensions that are not offered,
cannot be replaced, nor can the methods of HTTP. A value is printable US-ASCII without blanks.
Limits: a verb and a keyword of MAX_NAME characters, a value of `values.MAX_ADDED` octets.
"""

import re

from gatepost.model.additions import Verb
from gatepost.wire.smtp.commands import COMMANDS, FOREIGN_VERBS, OFFERED_COMMANDS
from gatepost.wire.smtp.syntax.extensions import PARAMETERS

MAX_NAME = 16

_VERB = re.compile(rf"[A-Z][A-Z0-9-]{{0,{MAX_NAME - 1}}}")
# RFC 5321 s4.1.2, esmtp-keyword
_KEYWORD = re.compile(rf"[A-Z0-9][A-Z0-9-]{{0,{MAX_NAME - 1}}}")
_TAKEN = frozenset({*COMMANDS, *OFFERED_COMMANDS, *FOREIGN_VERBS, "LHLO"})


def verb_problem(verb: object, row: object) -> str:
    """Return what is wrong with a command of a plugin, "" if nothing is."""
    if not (isinstance(verb, str) and _VERB.fullmatch(verb)):
        expected = f"up to {MAX_NAME} of A-Z, 0-9 and -, beginning with a letter"
        return f"expected a verb of {expected}, found {verb!r}"
    if verb in _TAKEN:
        return f"{verb} is a command of the server"
    return "" if isinstance(row, Verb) else f"{verb}: expected a Verb, found {row!r}"


def parameter_problem(command: str, keyword: object) -> str:
    """Return what is wrong with a parameter of MAIL or RCPT, "" if nothing is."""
    if not (isinstance(keyword, str) and _KEYWORD.fullmatch(keyword)):
        return f"expected a keyword of up to {MAX_NAME} of A-Z, 0-9 and -, found {keyword!r}"
    return f"{keyword} is a parameter of the server" if keyword in PARAMETERS[command] else ""
