"""The parser of each command's argument: the text after the verb in, an event out.

A parser depends on nothing but the text and the agreed state, and changes neither. A wrong argument
gives a `Fault` with the reply. Blanks at the end of a line are ignored (RFC 5321 section 4.1.1).
"""

import re
from typing import Final

from gatepost.model.address import AddressError
from gatepost.wire import events as e
from gatepost.wire.smtp import replies as r
from gatepost.wire.smtp.agreed import Agreed
from gatepost.wire.smtp.syntax.params import ParameterError, parse_params
from gatepost.wire.smtp.syntax.path import parse_path

_NO_PARAMS: Final[dict[str, str]] = {}
# RFC 5321 s4.5.3.1.2. The name is copied into the Received field, whose lines have at most 998.
MAX_NAME: Final = 255
_BDAT: Final = re.compile(r"([0-9]{1,19})(?: +([Ll][Aa][Ss][Tt]))? *")
_DATA: Final = e.Data()
_RSET: Final = e.Rset()
_NOOP: Final = e.Noop()
_QUIT: Final = e.Quit()
_STARTTLS: Final = e.StartTls()


def parse_ehlo(_agreed: Agreed, text: str) -> e.Event:
    """Parse EHLO SP ( Domain / address-literal ); the rest of the line is ignored."""
    name = _name(text)
    return e.Ehlo(name) if name else e.Fault(r.NAME_EXPECTED)


def parse_helo(_agreed: Agreed, text: str) -> e.Event:
    """Parse HELO SP Domain; the rest of the line is ignored."""
    name = _name(text)
    return e.Helo(name) if name else e.Fault(r.NAME_EXPECTED)


def _name(text: str) -> str:
    """Return the first word, or "" if there is none or it is over the limit."""
    words = text.split(None, 1)
    return words[0] if words and len(words[0].encode()) <= MAX_NAME else ""


def parse_mail(agreed: Agreed, text: str) -> e.Event:
    """Parse MAIL FROM:Reverse-path [SP Mail-parameters]."""
    match = agreed.paths["MAIL"].fullmatch(text)
    if match is None:
        return e.Fault(r.MAIL_SYNTAX)
    groups = match.groups()
    try:
        rest = groups[-1]
        params = _NO_PARAMS
        if rest:
            params = parse_params("MAIL", rest, agreed.extensions, agreed.additions.mail)
        path = parse_path(groups)
    except ParameterError as error:
        return e.Fault(error.reply)
    except AddressError:
        return e.Fault(r.MAIL_SYNTAX)
    if not (text.isascii() or "SMTPUTF8" in params):
        return e.Fault(r.NEEDS_SMTPUTF8)
    return e.Mail(path, params)


def parse_rcpt(agreed: Agreed, text: str) -> e.Event:
    """Parse RCPT TO:Forward-path [SP Rcpt-parameters]."""
    match = agreed.paths["RCPT"].fullmatch(text)
    if match is None:
        return e.Fault(r.RCPT_SYNTAX)
    groups = match.groups()
    try:
        rest = groups[-1]
        params = _NO_PARAMS
        if rest:
            params = parse_params("RCPT", rest, agreed.extensions, agreed.additions.rcpt)
        path = parse_path(groups)
    except ParameterError as error:
        return e.Fault(error.reply)
    except AddressError:
        return e.Fault(r.RCPT_SYNTAX)
    if not (text.isascii() or agreed.smtputf8):
        return e.Fault(r.NEEDS_SMTPUTF8)
    return e.Rcpt(path, params)


def parse_data(_agreed: Agreed, text: str) -> e.Event:
    """Parse DATA, which takes no argument."""
    return e.Fault(r.NO_ARGUMENT) if text.strip() else _DATA


def parse_bdat(agreed: Agreed, text: str) -> e.Event:
    """Parse BDAT SP chunk-size [SP "LAST"] (RFC 3030 section 2)."""
    match = _BDAT.fullmatch(text)
    if match is None:
        return e.Fault(r.BDAT_SYNTAX)
    return e.Bdat(int(match[1]), match[2] is not None, agreed.first_chunk)


def parse_rset(_agreed: Agreed, text: str) -> e.Event:
    """Parse RSET, which takes no argument."""
    return e.Fault(r.NO_ARGUMENT) if text.strip() else _RSET


def parse_noop(_agreed: Agreed, text: str) -> e.Event:
    """Parse NOOP [SP String]: the argument has no effect (RFC 5321 section 4.1.1.9)."""
    return e.Noop(text) if text else _NOOP


def parse_vrfy(_agreed: Agreed, text: str) -> e.Event:
    """Parse VRFY SP String."""
    return e.Vrfy(text) if text.strip() else e.Fault(r.ARGUMENT_EXPECTED)


def parse_expn(_agreed: Agreed, text: str) -> e.Event:
    """Parse EXPN SP String."""
    return e.Expn(text) if text.strip() else e.Fault(r.ARGUMENT_EXPECTED)


def parse_help(_agreed: Agreed, text: str) -> e.Event:
    """Parse HELP [SP String]."""
    return e.Help(text)


def parse_starttls(agreed: Agreed, text: str) -> e.Event:
    """Parse STARTTLS, which takes no argument and must be the last input in cleartext."""
    if text.strip():
        return e.Fault(r.NO_ARGUMENT)
    if agreed.secured:
        return e.Fault(r.TLS_ALREADY)
    return e.Fault(r.NOT_ALONE) if agreed.followed else _STARTTLS


def parse_quit(_agreed: Agreed, text: str) -> e.Event:
    """Parse QUIT, which takes no argument."""
    return e.Fault(r.NO_ARGUMENT) if text.strip() else _QUIT
