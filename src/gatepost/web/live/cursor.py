"""The identities of events: positions in the ledger, as clients have them.

Security: a position has the number of records, also of those that a user with a limit to some
domains must not see. It is encrypted, each time to another text, so that neither a text nor two of
them show how many records there are. A text that this server has not made is an error.
"""

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gatepost.ledger.position import Position

EXPECTED = "expected the id of an event of this server"
_NONCE = 12
_SEGMENT, _RECORD = 4, 8
_LONGEST = 100


class CursorError(ValueError):
    """A text that is no identity of this server."""


class Cursors:
    """Makes and reads identities with a key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(sha256(b"position of a live stream" + key).digest())

    def make(self, position: Position) -> str:
        """Return the identity of a position."""
        plain = position.segment.to_bytes(_SEGMENT, "big") + position.record.to_bytes(
            _RECORD, "big"
        )
        nonce = os.urandom(_NONCE)
        return urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, plain, None)).decode()

    def read(self, text: str) -> Position:
        """Return the position of an identity; raises `CursorError`."""
        try:
            octets = urlsafe_b64decode(text[:_LONGEST].encode("ascii"))
            plain = self._cipher.decrypt(octets[:_NONCE], octets[_NONCE:], None)
        except (ValueError, InvalidTag):
            raise CursorError(EXPECTED) from None
        segment, record = plain[:_SEGMENT], plain[_SEGMENT:]
        return Position(int.from_bytes(segment, "big"), int.from_bytes(record, "big"))
