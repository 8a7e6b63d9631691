"""The commands of a client: an event of `gatepost.wire.events` in, its line out.

Security: one command is always one line, for any address, name or parameter. A control character
or a malformed path raises `ProtocolError`.
"""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any

from gatepost.model.address import LENIENT_MAILBOX, Address
from gatepost.wire import events as e
from gatepost.wire.protocol import ProtocolError
from gatepost.wire.smtp.syntax.extensions import TABLE
from gatepost.wire.smtp.syntax.xtext import encode_xtext

# A mailbox, the null reverse-path, or <postmaster>. `Address` puts quotes where the RFC needs them.
_PATH = re.compile(rf"(?:{LENIENT_MAILBOX}|[Pp][Oo][Ss][Tt][Mm][Aa][Ss][Tt][Ee][Rr])?")
_WORD = re.compile(r"[!-~]+")


def compose(command: e.Event, hello: str = "EHLO") -> bytes:
    """Return the line of a command; `hello` is the verb for `Ehlo`. Raises `ProtocolError`."""
    write = _LINES.get(type(command))
    if write is None:
        raise ProtocolError(f"expected a command, found {type(command).__name__}")
    try:
        line = write(command)
    except ValueError as error:  # not representable as xtext
        raise ProtocolError(f"{type(command).__name__}: {error}") from error
    if type(command) is e.Ehlo:
        line = f"{hello} {line}"
    if not line.isprintable():
        raise ProtocolError(f"{line[:4]}: expected one line of printable characters")
    return f"{line}\r\n".encode()


def _hello(command: Any) -> str:
    return _word(command.name)


def _mail(command: Any) -> str:
    return f"MAIL FROM:<{_path(command.path)}>{_parameters(command.params)}"


def _rcpt(command: Any) -> str:
    return f"RCPT TO:<{_path(command.path)}>{_parameters(command.params)}"


def _bdat(command: Any) -> str:
    return f"BDAT {command.size}{' LAST' if command.last else ''}"


def _auth(command: Any) -> str:
    """Return AUTH (RFC 4954 section 4); "=" is an empty initial response."""
    if command.initial is None:
        return f"AUTH {_word(command.mechanism)}"
    return f"AUTH {_word(command.mechanism)} {_base64(command.initial) or '='}"


def _base64(data: bytes) -> str:
    return b64encode(data).decode("ascii")


def _xclient(command: Any) -> str:
    return " ".join(
        ("XCLIENT", *(f"{name}={_xclient_value(v)}" for name, v in command.attributes.items()))
    )


def _xclient_value(value: str) -> str:
    """Return xtext, except for the two special values of XCLIENT."""
    return value if value in ("[UNAVAILABLE]", "[TEMPUNAVAIL]") else encode_xtext(value)


def _path(address: Address) -> str:
    text = str(address)
    if not _PATH.fullmatch(text):
        raise ProtocolError(f"expected a mailbox, found {text[:80]!r}")
    return text


def _word(text: str) -> str:
    if not _WORD.fullmatch(text):
        raise ProtocolError(f"expected a word, found {text[:80]!r}")
    return text


def _parameters(params: Mapping[str, str]) -> str:
    if not params:
        return ""
    return "".join(f" {_parameter(keyword, value)}" for keyword, value in params.items())


def _parameter(keyword: str, value: str) -> str:
    write = _WRITERS.get(keyword)
    written = value if write is None else write(value)
    return _word(f"{keyword}={written}" if written else keyword)


# The writer of each parameter value.
_WRITERS: dict[str, Callable[[str], str]] = {
    keyword: parameter.write
    for extension in TABLE.values()
    for keyword, parameter in (*extension.mail.items(), *extension.rcpt.items())
}

_LINES: dict[type[e.Event], Callable[[Any], str]] = {
    e.Ehlo: _hello,
    e.Helo: lambda command: f"HELO {_hello(command)}",
    e.Mail: _mail,
    e.Rcpt: _rcpt,
    e.Data: lambda _: "DATA",
    e.Bdat: _bdat,
    e.Rset: lambda _: "RSET",
    e.Noop: lambda _: "NOOP",
    e.Quit: lambda _: "QUIT",
    e.StartTls: lambda _: "STARTTLS",
    e.Auth: _auth,
    e.AuthResponse: lambda command: _base64(command.data),
    e.Xclient: _xclient,
}
