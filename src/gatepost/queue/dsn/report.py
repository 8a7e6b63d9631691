"""Notices to senders: delivery status notifications, RFC 3464 in the form of RFC 6522.

A notice has three parts: words for people, the report for programs, and the header block of the
message it is about (the whole message where RFC 3461's RET=FULL asks for it and it is short).

Security: addresses, replies and header fields come from strangers. All of the notice but the quoted
header block is made of printable characters, one field a line, line breaks folded away; addresses
outside ASCII are written as RFC 6533 has them in 7 bits. The boundary is a number that nobody can
know before.
Limits: MAX_QUOTED octets of the original, MAX_TEXT characters of a reply.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Literal, NamedTuple

from gatepost.model.address import Address
from gatepost.wire.smtp.xtext import encode_unicode

MAX_QUOTED = 64 * 1024
MAX_TEXT = 500

_UNPRINTABLE = re.compile(r"[^ -~]+")
_STATUS = re.compile(r"[245](?:\.[0-9]{1,3}){2}")
_END = b"\r\n\r\n"
_EIGHT_BIT = re.compile(rb"[^\t\r\n -~]")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")

Action = Literal["failed", "delayed", "delivered", "relayed"]


class About(NamedTuple):
    """What a notice is about: a message and its recipients that share a fate.

    `envelope` is RFC 3461's ENVID, "" if there was none; `until` when the message is given up.
    """

    sender: Address
    ref: str
    envelope: str
    received: float
    until: float
    original: bytes
    full: bool


class Fate(NamedTuple):
    """One recipient: `original` is RFC 3461's ORCPT or "", `reply` as a server has given it."""

    address: Address
    original: str
    reply: str
    status: str


class Wording(NamedTuple):
    """How an action is put into words: the subject, and lines of text."""

    subject: str
    text: tuple[str, ...]


_WORDS: dict[Action, Wording] = {
    "failed": Wording(
        "Your message could not be delivered",
        (
            "Your message could not be delivered to the recipients below,",
            "and will not be tried again.",
        ),
    ),
    "delayed": Wording(
        "Your message is delayed",
        (
            "Your message has not been delivered to the recipients below yet.",
            "It is being tried again; you need not do anything.",
        ),
    ),
    "delivered": Wording(
        "Your message has been delivered",
        ("Your message has been delivered to the recipients below.",),
    ),
    "relayed": Wording(
        "Your message has been handed on",
        (
            "Your message has been handed on to another mail system for the recipients below.",
            "It may tell you if it cannot be delivered, but not that it was.",
        ),
    ),
}


def notice(
    action: Action, about: About, fates: Sequence[Fate], *, hostname: str, now: float
) -> bytes:
    """Return a notice as a message with CRLF line ends; times are seconds since the epoch."""
    boundary = f"=_{secrets.token_hex(16)}"
    parts = (
        _part("text/plain; charset=us-ascii", _lines(_words(action, about, fates, hostname))),
        _part("message/delivery-status", _lines(_report(action, about, fates, hostname, now))),
        _quoted(about),
    )
    head = _lines(
        (
            *_header(action, about, hostname, now),
            *(["Content-Transfer-Encoding: 8bit"] if about.full else ()),
            f'Content-Type: multipart/report; report-type="delivery-status"; boundary="{boundary}"',
            "",
            "This is a report in the format of RFC 3464.",
        )
    )
    mark = f"\r\n--{boundary}\r\n".encode()
    return head + b"".join(mark + part for part in parts) + f"\r\n--{boundary}--\r\n".encode()


def _header(action: Action, about: About, hostname: str, now: float) -> Iterator[str]:
    yield f"From: Mail delivery <postmaster@{_plain(hostname)}>"
    yield f"To: <{_plain_or_utf8(about.sender)}>"
    yield f"Subject: {_WORDS[action].subject}"
    yield f"Date: {_date(now)}"
    yield f"Message-ID: <{secrets.token_hex(12)}@{_plain(hostname)}>"
    yield "Auto-Submitted: auto-replied"  # RFC 3834 s5
    yield "MIME-Version: 1.0"


def _words(action: Action, about: About, fates: Sequence[Fate], hostname: str) -> Iterator[str]:
    yield f"This is {_plain(hostname)}, a mail server."
    yield ""
    yield from _WORDS[action].text
    yield ""
    for fate in fates:
        yield f"<{_seven_bits(fate.address)}>"
        if fate.reply:
            yield f"    {_plain(fate.reply)}"
    yield ""
    if action == "delayed":
        yield f"It will be tried until {_date(about.until)}."
        yield ""
    yield f"Reference: {_plain(about.ref)}"


def _report(
    action: Action, about: About, fates: Sequence[Fate], hostname: str, now: float
) -> Iterator[str]:
    """RFC 3464 s2.1: a group of fields for the message, then one for each recipient."""
    if about.envelope:
        yield f"Original-Envelope-Id: {_plain(about.envelope)}"
    yield f"Reporting-MTA: dns; {_plain(hostname)}"
    yield f"ProxyHandshake-Date: {_date(about.received)}"
    for fate in fates:
        yield ""
        if fate.original:
            yield f"Original-Recipient: {_plain(fate.original)}"
        kind = "rfc822" if str(fate.address).isascii() else "utf-8"
        yield f"Final-Recipient: {kind}; {_seven_bits(fate.address)}"
        yield f"Action: {action}"
        yield f"Status: {fate.status if _STATUS.fullmatch(fate.status) else '5.0.0'}"
        if fate.reply:
            yield f"Diagnostic-Code: smtp; {_plain(fate.reply)}"
        yield f"Last-Attempt-Date: {_date(now)}"
        if action == "delayed":
            yield f"Will-Retry-Until: {_date(about.until)}"


def _quoted(about: About) -> bytes:
    if about.full:
        encoding = "" if about.original.isascii() else "\r\nContent-Transfer-Encoding: 8bit"
        return _part(f"message/rfc822{encoding}", about.original)
    end = about.original.find(_END)
    block = about.original if end < 0 else about.original[: end + 2]
    return _part("text/rfc822-headers; charset=us-ascii", _clean(block[:MAX_QUOTED]))


def _clean(octets: bytes) -> bytes:
    """Return octets that a notice may have: 7 bits, line breaks only as CRLF."""
    return _EIGHT_BIT.sub(b"?", _BARE.sub(b"?", octets))


def _part(kind: str, content: bytes) -> bytes:
    return f"Content-Type: {kind}\r\n\r\n".encode() + content


def _lines(lines: Iterator[str] | Sequence[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()


def _plain(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text)[:MAX_TEXT]


def _plain_or_utf8(address: Address) -> str:
    """Return an address for a header field, which may be UTF-8 under SMTPUTF8 (RFC 6532)."""
    text = str(address)
    return _plain(text) if text.isascii() else re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text)


def _seven_bits(address: Address) -> str:
    r"""Return an address in ASCII: RFC 6533 s3 writes other characters as \x{HEX}."""
    text = str(address)
    if text.isascii():
        return _plain(text)
    return _plain(encode_unicode(text.replace("\\", r"\x{5C}")))


def _date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(seconds), UTC))
