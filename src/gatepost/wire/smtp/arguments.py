"""How the argument of each command is read: text after the verb in, event out.

An argument that is wrong gives a `Fault` with the reply. BDAT's is read here; what follows it is
the business of `gatepost.wire.smtp.content`. Blanks at the end of a line are tolerated (RFC 5321
section 4.1.1).
"""

import re
from typing import TYPE_CHECKING

from gatepost.model.address import AddressError
from gatepost.wire import events as e
from gatepost.wire.smtp import replies as r
from gatepost.wire.smtp.params import ParameterError, parse_params
from gatepost.wire.smtp.path import parse_path

if TYPE_CHECKING:
    from gatepost.wire.smtp.server import SmtpServer

_NO_PARAMS: dict[str, str] = {}
_BDAT = re.compile(r"([0-9]{1,19})(?: +([Ll][Aa][Ss][Tt]))? *")
_DATA, _RSET, _NOOP, _QUIT = e.Data(), e.Rset(), e.Noop(), e.Quit()
_STARTTLS = e.StartTls()


def parse_ehlo(wire: "SmtpServer", text: str) -> e.Event:
    """EHLO SP ( Domain / address-literal ); what follows the name is dropped."""
    wire.plain = False
    return e.Ehlo(text.split(None, 1)[0]) if text.strip() else e.Fault(r.NAME_EXPECTED)


def parse_helo(wire: "SmtpServer", text: str) -> e.Event:
    """HELO SP Domain; as EHLO."""
    wire.plain = True
    return e.Helo(text.split(None, 1)[0]) if text.strip() else e.Fault(r.NAME_EXPECTED)


def parse_mail(wire: "SmtpServer", text: str) -> e.Event:
    """MAIL FROM:Reverse-path [SP Mail-parameters]."""
    match = wire.paths["MAIL"].fullmatch(text)
    if match is None:
        return e.Fault(r.MAIL_SYNTAX)
    try:
        rest = match[match.re.groups]
        params = parse_params("MAIL", rest, wire.extensions) if rest else _NO_PARAMS
        path = parse_path(match)
    except ParameterError as error:
        return e.Fault(error.reply)
    except AddressError:
        return e.Fault(r.MAIL_SYNTAX)
    wire.smtputf8 = "SMTPUTF8" in params
    if not (wire.smtputf8 or text.isascii()):
        return e.Fault(r.NEEDS_SMTPUTF8)
    return e.Mail(path, params)


def parse_rcpt(wire: "SmtpServer", text: str) -> e.Event:
    """RCPT TO:Forward-path [SP Rcpt-parameters]."""
    match = wire.paths["RCPT"].fullmatch(text)
    if match is None:
        return e.Fault(r.RCPT_SYNTAX)
    try:
        rest = match[match.re.groups]
        params = parse_params("RCPT", rest, wire.extensions) if rest else _NO_PARAMS
        path = parse_path(match)
    except ParameterError as error:
        return e.Fault(error.reply)
    except AddressError:
        return e.Fault(r.RCPT_SYNTAX)
    if not (wire.smtputf8 or text.isascii()):
        return e.Fault(r.NEEDS_SMTPUTF8)
    return e.Rcpt(path, params)


def parse_data(_wire: "SmtpServer", text: str) -> e.Event:
    """Read DATA, which takes no argument."""
    return e.Fault(r.NO_ARGUMENT) if text.strip() else _DATA


def parse_bdat(wire: "SmtpServer", text: str) -> e.Event:
    """BDAT SP chunk-size [SP "LAST"] (RFC 3030 section 2)."""
    match = _BDAT.fullmatch(text)
    if match is None:
        return e.Fault(r.BDAT_SYNTAX)
    return e.Bdat(int(match[1]), match[2] is not None, wire.first_chunk)


def parse_rset(_wire: "SmtpServer", text: str) -> e.Event:
    """Read RSET, which takes no argument."""
    return e.Fault(r.NO_ARGUMENT) if text.strip() else _RSET


def parse_noop(_wire: "SmtpServer", _text: str) -> e.Event:
    """NOOP [SP String]: the argument is ignored (RFC 5321 section 4.1.1.9)."""
    return _NOOP


def parse_vrfy(_wire: "SmtpServer", text: str) -> e.Event:
    """VRFY SP String."""
    return e.Vrfy(text) if text.strip() else e.Fault(r.ARGUMENT_EXPECTED)


def parse_expn(_wire: "SmtpServer", text: str) -> e.Event:
    """EXPN SP String."""
    return e.Expn(text) if text.strip() else e.Fault(r.ARGUMENT_EXPECTED)


def parse_help(_wire: "SmtpServer", text: str) -> e.Event:
    """HELP [SP String]."""
    return e.Help(text)


def parse_starttls(wire: "SmtpServer", text: str) -> e.Event:
    """Read STARTTLS, which takes no argument, and behind which nothing may stand in the clear."""
    if text.strip():
        return e.Fault(r.NO_ARGUMENT)
    if wire.secured:
        return e.Fault(r.TLS_ALREADY)
    return e.Fault(r.NOT_ALONE) if wire.unread else _STARTTLS


def parse_quit(_wire: "SmtpServer", text: str) -> e.Event:
    """Read QUIT, which takes no argument."""
    return e.Fault(r.NO_ARGUMENT) if text.strip() else _QUIT
