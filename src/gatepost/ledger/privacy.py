"""Leave out of the records: the Subject, the From field, the Message-ID, local parts of addresses.

With "addresses" the local part is replaced by a keyed hash, which is the same in all records. The
domain stays. With an address and the key its hash can be computed, and so its records can be found:
`hashed`. Without the key the records do not reveal local parts, not even short ones.

The key is a file next to the records; who can read it can also test guesses.

Limits: replies are recorded as they were sent. The text of a plugin can have an address.
"""

import hashlib
import os
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from email.utils import parseaddr
from pathlib import Path
from typing import Final

from gatepost.ledger.limits import text
from gatepost.model.headers import Headers
from gatepost.model.message import Message
from gatepost.model.plain_field import plain_value

KEY_FILE: Final = "key"
_KEY_SIZE: Final = 32
# Octets of the content in which the From and Subject fields are looked for.
_HEAD: Final = 16 * 1024
_END: Final = b"\r\n\r\n"
_IS_HASHED: Final = re.compile(r"[0-9a-f]{16}@.*").fullmatch
# What is taken for an address in a text.
_ADDRESS: Final = re.compile(r"[^\s<>,:;()]+@[^\s<>,:;()]+")
# Characters of a From or Subject field.
MAX_FIELD: Final = 250


class Privacy:
    """Applies `[ledger] privacy`; `key` is that of `load_key`."""

    __slots__ = ("_addresses", "_from", "_key", "_message_id", "_subject")

    def __init__(self, left_out: Collection[str], key: bytes = b"") -> None:
        self._subject = "subject" not in left_out
        self._from = "from" not in left_out
        self._message_id = "message-id" not in left_out
        self._addresses = "addresses" in left_out
        self._key = key

    def address(self, address: str) -> str:
        """Return an address as it is recorded; "" is the null sender."""
        if self._addresses:
            return hashed(address, self._key)
        return text(address)

    def fact(self, value: str) -> str:
        """Return the text of a fact as it is recorded; one with "@" counts as an address."""
        return self.address(value) if "@" in value else text(value)

    def sentence(self, value: str) -> str:
        """Return a text with the addresses in it as they are recorded."""
        if self._addresses and "@" in value:
            return text(_ADDRESS.sub(lambda match: hashed(match[0], self._key), value))
        return text(value)

    def message_id(self, message_id: str) -> str:
        """Return a Message-ID as it is recorded, "" if it is left out."""
        return message_id if self._message_id else ""

    def fields(self, message: Message | None) -> tuple[str, str]:
        """Return the From and Subject fields as they are recorded."""
        if message is None or not (self._from or self._subject):
            return "", ""
        head = _head(message)
        lowered = head.lower()
        sender = _value(head, lowered, b"\r\nfrom") if self._from else ""
        subject = _value(head, lowered, b"\r\nsubject") if self._subject else ""
        if self._addresses and sender:
            sender = hashed(parseaddr(sender)[1], self._key)
        return sender, subject


def _head(message: Message) -> bytes:
    """Return CRLF and the header block as received, or its start; nothing if it cannot be read."""
    try:
        piece = message.first_piece()
    except OSError:
        return b""
    end = piece.find(_END, 0, _HEAD)
    return b"\r\n" + piece[: end + 2 if end >= 0 else _HEAD]


def _value(head: bytes, lowered: bytes, name: bytes) -> str:
    """Return the start of the first field with this name, unfolded; the usual form is quick."""
    at = lowered.find(name)
    if at < 0:
        return ""
    value = plain_value(head, at + len(name))
    if value is None:
        return (Headers(head[2:]).get(name[2:].decode()) or "")[:MAX_FIELD]
    return value[:MAX_FIELD].decode("utf-8", "replace").strip()


def hashed(address: str, key: bytes) -> str:
    """Return an address with a hash instead of the local part, in lower case; "" for ""."""
    local, at, domain = address.lower().rpartition("@")
    if not local and not at:
        local, domain = domain, ""
    if not local:
        return address
    digest = hashlib.blake2b(local.encode(errors="surrogateescape"), digest_size=8, key=key)
    return f"{digest.hexdigest()}{at}{domain}"


def recorded_form(folder: Path, *, hidden: bool) -> Callable[[str], str]:
    """Return a function for addresses: as the records in `folder` have them if they are `hidden`.

    A domain stays as it is, and so does a local part that is a hash already. Raises OSError.
    """
    file = folder / KEY_FILE
    if not hidden or not file.exists():
        return str
    key = file.read_bytes()
    return lambda text: text if _IS_HASHED(text) or "@" not in text[1:] else hashed(text, key)


def load_key(folder: Path) -> bytes:
    """Return the key of the records in `folder`; make it if there is none. Raises OSError."""
    file = folder / KEY_FILE
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_key(file)
    return file.read_bytes()


def _write_key(file: Path) -> None:
    """Write a new key; several processes may do so at the same time, and one of them succeeds."""
    if file.exists():
        raise FileExistsError
    own = file.with_name(f"{KEY_FILE}.{os.getpid()}")
    descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, os.urandom(_KEY_SIZE))
        os.fsync(descriptor)
        os.link(own, file)
    finally:
        os.close(descriptor)
        own.unlink()
