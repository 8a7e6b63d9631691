"""The content of delivery status notifications: RFC 3464 in the form of RFC 6522.

A DSN has three parts: text for people, a report for programs, and the header block of the reported
message. The last is the whole message if RFC 3461's RET=FULL requests it and the message is short.

Security: addresses, replies and header fields come from untrusted clients. Except for the quoted
header block, a DSN consists of printable characters, one field per line, without folding. Addresses
outside ASCII are encoded in 7 bits as in RFC 6533. The boundary is a random number that a client
cannot predict.
Limits: MAX_QUOTED octets of the original, MAX_TEXT characters of a reply.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import NamedTuple

from gatepost.model.address import Address
from gatepost.queue.dsn.notify import Action
from gatepost.wire.smtp.syntax.xtext import encode_unicode

MAX_QUOTED = 64 * 1024
MAX_TEXT = 500

_UNPRINTABLE = re.compile(r"[^ -~]+")
_STATUS = re.compile(r"[245](?:\.[0-9]{1,3}){2}")
_END = b"\r\n\r\n"
_EIGHT_BIT = re.compile(rb"[^\t\r\n -~]")
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class ReportedMessage(NamedTuple):
    """The message of a DSN: `envelope` is the ENVID of RFC 3461 or "", `until` the expiry time."""

    sender: Address
    ref: str
    envelope: str
    received: float
    until: float
    original: bytes
    full: bool


class ReportedRecipient(NamedTuple):
    """A recipient of a DSN: `original` is the ORCPT of RFC 3461 or "", `reply` that of a server."""

    address: Address
    original: str
    reply: str
    status: str


class Wording(NamedTuple):
    """The subject and the text of an action."""

    subject: str
    text: tuple[str, ...]


# Subjects as in Postfix, which administrators and filters recognise.
_WORDINGS: dict[Action, Wording] = {
    "failed": Wording(
        "Undelivered Mail Returned to Sender",
        (
            "Your message could not be delivered to the recipients below.",
            "It will not be tried again.",
        ),
    ),
    "delayed": Wording(
        "Delayed Mail (still being retried)",
        (
            "Your message could not be delivered to the recipients below yet.",
            "You do not need to send it again; delivery will be retried.",
        ),
    ),
    "delivered": Wording(
        "Successful Mail Delivery Report",
        ("Your message was delivered to the recipients below.",),
    ),
    "relayed": Wording(
        "Successful Mail Delivery Report",
        (
            "Your message was relayed to another mail system for the recipients below.",
            "You may still receive notifications of delivery errors from that system.",
        ),
    ),
}


def build_dsn(
    action: Action,
    message: ReportedMessage,
    recipients: Sequence[ReportedRecipient],
    *,
    hostname: str,
    now: float,
) -> bytes:
    """Return a DSN as a message with CRLF line ends; times are seconds since the epoch."""
    boundary = f"=_{secrets.token_hex(16)}"
    parts = (
        _part("text/plain; charset=us-ascii", _lines(_text(action, message, recipients, hostname))),
        _part(
            "message/delivery-status", _lines(_report(action, message, recipients, hostname, now))
        ),
        _quoted(message),
    )
    head = _lines(
        (
            *_header(action, message, hostname, now),
            *(["Content-Transfer-Encoding: 8bit"] if message.full else ()),
            f'Content-Type: multipart/report; report-type="delivery-status"; boundary="{boundary}"',
            "",
            "This is a report in the format of RFC 3464.",
        )
    )
    separator = f"\r\n--{boundary}\r\n".encode()
    return head + b"".join(separator + part for part in parts) + f"\r\n--{boundary}--\r\n".encode()


def _header(action: Action, message: ReportedMessage, hostname: str, now: float) -> Iterator[str]:
    yield f"From: Mail Delivery System <postmaster@{_plain(hostname)}>"
    yield f"To: <{_plain_or_utf8(message.sender)}>"
    yield f"Subject: {_WORDINGS[action].subject}"
    yield f"Date: {_date(now)}"
    yield f"Message-ID: <{secrets.token_hex(12)}@{_plain(hostname)}>"
    yield "Auto-Submitted: auto-replied"  # RFC 3834 s5
    yield "MIME-Version: 1.0"


def _text(
    action: Action, message: ReportedMessage, recipients: Sequence[ReportedRecipient], hostname: str
) -> Iterator[str]:
    yield f"This is the mail system at host {_plain(hostname)}."
    yield ""
    yield from _WORDINGS[action].text
    yield ""
    for one in recipients:
        yield f"<{_seven_bits(one.address)}>"
        if one.reply:
            yield f"    {_plain(one.reply)}"
    yield ""
    if action == "delayed":
        yield f"Delivery will be retried until {_date(message.until)}."
        yield ""
    yield f"Reference: {_plain(message.ref)}"


def _report(
    action: Action,
    message: ReportedMessage,
    recipients: Sequence[ReportedRecipient],
    hostname: str,
    now: float,
) -> Iterator[str]:
    """Yield the fields of RFC 3464 s2.1: a group for the message, then one per recipient."""
    if message.envelope:
        yield f"Original-Envelope-Id: {_plain(message.envelope)}"
    yield f"Reporting-MTA: dns; {_plain(hostname)}"
    yield f"Arrival-Date: {_date(message.received)}"
    for one in recipients:
        yield ""
        if one.original:
            yield f"Original-Recipient: {_plain(one.original)}"
        kind = "rfc822" if str(one.address).isascii() else "utf-8"
        yield f"Final-Recipient: {kind}; {_seven_bits(one.address)}"
        yield f"Action: {action}"
        yield f"Status: {one.status if _STATUS.fullmatch(one.status) else '5.0.0'}"
        if one.reply:
            yield f"Diagnostic-Code: smtp; {_plain(one.reply)}"
        yield f"Last-Attempt-Date: {_date(now)}"
        if action == "delayed":
            yield f"Will-Retry-Until: {_date(message.until)}"


def _quoted(message: ReportedMessage) -> bytes:
    if message.full:
        encoding = "" if message.original.isascii() else "\r\nContent-Transfer-Encoding: 8bit"
        return _part(f"message/rfc822{encoding}", message.original)
    end = message.original.find(_END)
    block = message.original if end < 0 else message.original[: end + 2]
    return _part("text/rfc822-headers; charset=us-ascii", _clean(block[:MAX_QUOTED]))


def _clean(octets: bytes) -> bytes:
    """Return octets that a DSN may contain: 7 bits, line breaks only as CRLF."""
    return _EIGHT_BIT.sub(b"?", _BARE.sub(b"?", octets))


def _part(kind: str, content: bytes) -> bytes:
    return f"Content-Type: {kind}\r\n\r\n".encode() + content


def _lines(lines: Iterator[str] | Sequence[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()


def _plain(text: str) -> str:
    return _UNPRINTABLE.sub(" ", text)[:MAX_TEXT]


def _plain_or_utf8(address: Address) -> str:
    """Return an address for a header field, which may be UTF-8 with SMTPUTF8 (RFC 6532)."""
    text = str(address)
    return _plain(text) if text.isascii() else re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text)


def _seven_bits(address: Address) -> str:
    r"""Return an address in ASCII, with other characters as \x{HEX} (RFC 6533 s3)."""
    text = str(address)
    if text.isascii():
        return _plain(text)
    return _plain(encode_unicode(text.replace("\\", r"\x{5C}")))


def _date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(seconds), UTC))
