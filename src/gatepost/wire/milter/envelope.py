"""The client and the envelope in packets of the milter protocol.

The mail server has accepted the syntax of addresses and parameters by its own rules. What is
malformed by those of this server is therefore no error: an address is kept in two halves, and a
parameter with an invalid value is dropped.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from gatepost.model.address import MAX_DOMAIN, MAX_LOCAL, Address, AddressError
from gatepost.model.endpoint import Endpoint
from gatepost.model.reply import Reply
from gatepost.wire.ip import ipv4, ipv6
from gatepost.wire.milter.events import Client
from gatepost.wire.milter.packets import PacketError, text
from gatepost.wire.smtp.syntax.extensions import PARAMETERS
from gatepost.wire.smtp.syntax.path import LENIENT, parse_path
from gatepost.wire.smtp.syntax.values import NO_VALUE

# A client without an IP address: mail of the machine itself.
LOCAL: Final = "local"

_WORDS: Final = {"MAIL": "FROM:", "RCPT": "TO:"}
_IPV6: Final = "ipv6:"
# The reply in the macro of a recipient that the mail server refuses.
_REFUSAL: Final = re.compile(r"(?:([45][0-9][0-9])[ -])?(?:[45](?:\.[0-9]{1,3}){2} )?(.*)")
_ENHANCED: Final = re.compile(r"[45](?:\.[0-9]{1,3}){2}")


def client(data: bytes) -> Client:
    """Return the client of a connection packet; raises `PacketError`."""
    name, end, rest = data.partition(b"\0")
    if not end or not rest:
        raise PacketError("expected a name and an address family")
    family, rest = rest[:1], rest[1:]
    read = {b"4": ipv4, b"6": _ipv6}.get(family)
    if read is None:
        return Client(text(name), Endpoint(LOCAL))
    if len(rest) < 3 or not rest.endswith(b"\0"):
        raise PacketError("expected a port and an address")
    try:
        host = read(rest[2:-1].decode("ascii"))
    except ValueError as error:
        raise PacketError("expected an IP address") from error
    return Client(text(name), Endpoint(host, int.from_bytes(rest[:2], "big")))


def _ipv6(address: str) -> str:
    return ipv6(address[len(_IPV6) :] if address.lower().startswith(_IPV6) else address)


def path(verb: str, argument: str) -> Address:
    """Return the path of MAIL or RCPT, in any form that the mail server accepts."""
    match = LENIENT[verb].fullmatch(_WORDS[verb] + argument)
    if match is not None:
        try:
            return parse_path(match.groups())
        except AddressError:
            pass
    local, _, domain = argument.removeprefix("<").removesuffix(">").rpartition("@")
    if not local:
        local, domain = domain, ""
    return Address(local[:MAX_LOCAL], domain[:MAX_DOMAIN])


def params(verb: str, words: Sequence[str]) -> dict[str, str]:
    """Return the parameters of MAIL or RCPT by upper-case keyword."""
    found: dict[str, str] = {}
    for word in words:
        keyword, _, value = word.partition("=")
        keyword = keyword.upper()
        _, parameter = PARAMETERS[verb].get(keyword, ("", NO_VALUE))
        if keyword not in PARAMETERS[verb]:
            found[keyword] = value
            continue
        try:
            found[keyword] = parameter.read(value)
        except ValueError:
            continue
    return found


def refusal(macros: Mapping[str, str]) -> Reply | None:
    """Return the refusal of a recipient by the mail server itself, None if it accepts it.

    It passes the recipient to the mailer "error", with the enhanced status code as the host and the
    reply as the address.
    """
    if macros.get("rcpt_mailer") != "error":
        return None
    match = _REFUSAL.fullmatch(macros.get("rcpt_addr", ""))
    code, words = ("", "") if match is None else (match[1] or "", match[2])
    enhanced = macros.get("rcpt_host", "")
    if not _ENHANCED.fullmatch(enhanced):
        enhanced = f"{code[:1] or 5}.0.0"
    if code[:1] != enhanced[0]:
        code = f"{enhanced[0]}50"
    return Reply(int(code), words or "Refused by the mail server", enhanced)
