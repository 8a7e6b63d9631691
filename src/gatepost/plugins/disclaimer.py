"""Append a text, such as a legal notice, to the mail that your users send.

This changes the body, which invalidates the signatures of a message: signed and encrypted messages
are left alone. The text is put in before `dkim_sign` signs.

Trusts: nothing in the message. Limits: MAX_HEADER octets of a header that is read; a text of more
than MAX_TEXT octets is wrapped in pieces instead of being changed.
"""

import re
from collections.abc import Iterable, Iterator
from email.message import Message
from email.parser import BytesHeaderParser

from gatepost import MessageTransaction, Plugin
from gatepost.plugins._appended import (
    MAX_LINE,
    Appendix,
    appended,
    encoding_of,
    new_boundary,
    text_part,
    wrapped,
)

MAX_HEADER = 65536
MAX_TEXT = 256 * 1024

_END = b"\r\n\r\n"
_CONTENT = re.compile(rb"(?i)content-[!-9;-~]+(?=[ \t]*:)")
_FIELD_START = re.compile(rb"\r\n(?![ \t])")
# Signed, encrypted, or of a form that other programs rely on.
_PROTECTED = frozenset(
    {
        *("multipart/signed", "multipart/encrypted", "application/pkcs7-mime"),
        *("application/x-pkcs7-mime", "application/pgp-encrypted"),
    }
)
_LEFT_ALONE = frozenset({"multipart/report", "text/calendar", "message/delivery-status"})
_PGP = b"-----BEGIN PGP"


class Disclaimer(Plugin):
    """Adds the result `disclaimer`: what was done, or why nothing was."""

    after = frozenset({"score", "subject_tag"})
    before = frozenset({"dkim_sign"})

    class Options(Plugin.Options):
        """The text, and whose messages get it."""

        text: str
        """The text that is appended."""
        html: str = ""
        """The same in HTML, for messages that have nothing but HTML. Without it such a message gets
        the text as a part of its own."""
        relays: bool = True
        """Whether mail of clients in networks of `relay_for` of a route gets it, too."""
        signed: bool = False
        """Whether messages with a DKIM or ARC signature are changed. The signatures are then
        invalid."""

        def __post_init__(self) -> None:
            if not self.text.strip() or "\0" in self.text + self.html or "\r" in self.text:
                raise ValueError("text: expected a text with LF as line ends")
            if max(len(line.encode()) for line in self.text.split("\n")) >= MAX_LINE:
                raise ValueError(f"text: expected lines of less than {MAX_LINE} octets")

    def start(self) -> None:
        """Prepare the text, and warn of what it does to signatures."""
        self._appendix = Appendix(self.options.text.rstrip("\n"), self.options.html.rstrip("\n"))
        self._part = text_part(self._appendix.text)
        for text in self.warnings():
            self.log.warning("plugin warning", problem=text)

    def warnings(self) -> Iterable[str]:
        """Return what `gatepost check` prints: it changes signed content."""
        yield "it changes the body of messages, which invalidates signatures made before" + (
            ", also those of clients: signed = true" if self.options.signed else ""
        )

    def on_message(self, tx: MessageTransaction) -> None:
        """Append the text to mail of authenticated clients and of networks that may relay."""
        session = tx.session
        if session.auth is None and not (session.in_relay_network and self.options.relays):
            return
        try:
            value = self._edit(tx)
        except ValueError as error:  # such as a message that is too large
            log = self.log_for(tx)
            log.warning("text not appended", problem=str(error)[:500])
            value = "failed"
        self.metrics.counter("messages", result=value).inc()
        tx.results.replace("disclaimer", value)

    def _edit(self, tx: MessageTransaction) -> str:
        """Change the message; return what was done."""
        block = tx.message.headers().raw
        if not 0 < len(block) <= MAX_HEADER:
            return "unreadable"
        fields = BytesHeaderParser().parsebytes(block)
        reason = self._why_not(tx, fields)
        if reason:
            return reason
        body = _body(tx, MAX_TEXT)
        if body is not None and _PGP in body:
            return "protected"
        if body is not None and self._has_text(body):
            return "present"
        new = None if body is None else appended(fields, body, self._appendix)
        if new is None:
            self._wrap(tx, block, fields)
            return "wrapped"
        tx.message.replace_body(new)
        return "appended"

    def _why_not(self, tx: MessageTransaction, fields: Message) -> str:
        """Return why a message is left alone, "" if it is not."""
        repeated = any(len(fields.get_all(name, ())) > 1 for name in _ONCE)
        if repeated or fields.defects or fields.get_payload():  # of lines that are no fields
            return "unreadable"
        kind = fields.get_content_type()
        if kind in _PROTECTED:
            return "protected"
        if kind in _LEFT_ALONE:
            return "left"
        return "" if self.options.signed or not tx.message.signatures_over() else "signed"

    def _has_text(self, body: bytes) -> bool:
        octets = self._appendix.text.replace("\n", "\r\n").encode()
        return octets in body or self._part in body

    def _wrap(self, tx: MessageTransaction, block: bytes, fields: Message) -> None:
        """Make the message the first part of a multipart, and the text the second."""
        message, boundary = tx.message, new_boundary()
        own = _content_fields(block)
        message.replace_body(wrapped(boundary, b"".join(own.values()), _pieces(tx), self._part))
        for name in own:
            message.remove_header(name)
        message.replace_header("MIME-Version", "1.0")
        message.add_header("Content-Type", f'multipart/mixed; boundary="{boundary}"', first=False)
        if encoding_of(fields) in ("8bit", "binary"):
            message.add_header("Content-Transfer-Encoding", encoding_of(fields), first=False)


_ONCE = ("Content-Type", "Content-Transfer-Encoding", "MIME-Version")


def _content_fields(block: bytes) -> dict[str, bytes]:
    """Return the fields that describe the content by name, each with its CRLF, as they are."""
    found = dict[str, bytes]()
    for field in _FIELD_START.split(block):
        name = _CONTENT.match(field)
        if name is not None:
            key = name[0].decode("ascii").lower()
            found[key] = found.get(key, b"") + field.removesuffix(b"\r\n") + b"\r\n"
    return found


def _pieces(tx: MessageTransaction) -> Iterator[bytes]:
    """Yield the body of a message as edited."""
    held, found = b"", False
    for piece in tx.message:
        if found:
            yield piece
            continue
        held += piece
        found = _END in held
        if found:
            yield held.partition(_END)[2]


def _body(tx: MessageTransaction, most: int) -> bytes | None:
    """Return the body, None if it has more octets than `most`."""
    body = bytearray()
    for piece in _pieces(tx):
        body += piece
        if len(body) > most:
            return None
    return bytes(body)
