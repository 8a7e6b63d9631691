"""Trace information: the Received field (RFC 5321 section 4.4).

Security: HELO arguments and addresses come from the client. Only characters of a HELO argument that
cannot end a comment, a quoted string or the field are copied; others become `?`. An address is
copied as it is written, with quotes, or left out.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Final

from gatepost.model.address import DOT_STRING, LENIENT_DOMAIN, QUOTED_STRING, Address
from gatepost.model.session import Transaction

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.:_\[\]-]")
_FOR: Final = re.compile(r" for <([^>]*)>;")
# A quoted string cannot end early. An address literal can have any character, even a quote.
_SAFE_ADDRESS: Final = re.compile(
    rf"(?:{DOT_STRING}|{QUOTED_STRING})(?:@(?:{LENIENT_DOMAIN}|\[[A-Za-z0-9:.-]+\]))?"
)

# The names for "with" (RFC 3848, RFC 6531 s4.3) by: extended (EHLO), SMTPUTF8, TLS, authenticated.
WithNames = Mapping[tuple[bool, bool, bool, bool], str]


def with_names(plain: str, extended: str, utf8: str) -> WithNames:
    """Return the table of a protocol: its name after HELO, after EHLO, and with SMTPUTF8."""
    flags = (False, True)
    return {
        (greeted, is_utf8, tls, auth): (
            f"{utf8 if is_utf8 else extended}{'S' * tls}{'A' * auth}" if greeted else plain
        )
        for greeted in flags
        for is_utf8 in flags
        for tls in flags
        for auth in flags
    }


def received(tx: Transaction, hostname: str, names: WithNames) -> bytes:
    """Return the Received field, folded, with its final CRLF."""
    session = tx.session
    tls = session.tls
    utf8, auth = "SMTPUTF8" in tx.params, session.auth is not None
    protocol = names[session.extended, utf8, tls is not None, auth]
    encryption = "" if tls is None else f"\t({tls.version} {tls.cipher})\r\n"
    return (
        f"{_client(session.helo, session.peer.host)}{encryption}"
        f"\tby {hostname} (Gatepost) with {protocol} id {tx.id}"
        f"{_for(tx)};\r\n"
        f"\t{date(int(tx.received))}\r\n"
    ).encode()


@lru_cache(maxsize=1024)
def _client(helo: str, host: str) -> str:
    """Return the first line of the field; it is the same for all messages of a client."""
    address = f"[IPv6:{host}]" if ":" in host else f"[{host}]"
    return f"Received: from {_UNSAFE.sub('?', helo)} ({address})\r\n"


def _for(tx: Transaction) -> str:
    """Name the recipient if there is only one: more would reveal one to the other."""
    if len(tx.recipients) != 1:
        return ""
    address = shown_address(tx.recipients[0].address)
    return f"\r\n\tfor <{address}>" if address else ""


def shown_address(address: Address) -> str:
    """Return an address as the Received field shows it, "" if it does not show it."""
    return _shown(str(address))


@lru_cache(maxsize=1024)
def _shown(text: str) -> str:
    return text if _SAFE_ADDRESS.fullmatch(text) else ""


def own_recipient(field: bytes, hostname: str) -> str | None:
    """Return the address in a Received field of this server, None if there is none.

    `field` is the value of any Received field, folded or not.
    """
    if b"(Gatepost)" not in field:
        return None
    text = " ".join(field.decode("utf-8", "replace").split())
    _, by, rest = text.partition(f" by {hostname} (Gatepost) with ")
    recipient = _FOR.search(rest) if by else None
    return None if recipient is None else recipient[1]


@lru_cache(maxsize=4)
def date(seconds: int) -> str:
    """Return a time as header fields have it (RFC 5322 section 3.3), in the local time zone."""
    return format_datetime(datetime.fromtimestamp(seconds).astimezone())
