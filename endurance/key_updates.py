"""TLS 1.3 records with KeyUpdate messages (RFC 8446), which Python's ssl cannot send."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from pathlib import Path

_HASHES = {
    "TLS_AES_128_GCM_SHA256": (hashlib.sha256, 16),
    "TLS_AES_256_GCM_SHA384": (hashlib.sha384, 32),
}
# A handshake message (24) that asks the other side to update its keys too (1).
_KEY_UPDATE = b"\x18\x00\x00\x01\x01"
_HANDSHAKE, _DATA = 22, 23


class KeyUpdater:
    """Encrypts records with the client's keys, from its first application record on."""

    def __init__(self, suite: str, secret: bytes) -> None:
        self._hash, self._size = _HASHES[suite]
        self._use(secret)

    def _use(self, secret: bytes) -> None:
        self._secret, self._number = secret, 0
        self._key = AESGCM(self._expand(b"key", self._size))
        self._iv = int.from_bytes(self._expand(b"iv", 12), "big")

    def _expand(self, label: bytes, size: int) -> bytes:
        """Return HKDF-Expand-Label of RFC 8446 section 7.1 with an empty context."""
        label = b"tls13 " + label
        info = size.to_bytes(2, "big") + bytes([len(label)]) + label + b"\0"
        return hmac.digest(self._secret, info + b"\x01", self._hash)[:size]

    def record(self, content: bytes, kind: int = _DATA) -> bytes:
        """Return a record with this content."""
        plain = content + bytes([kind])
        header = b"\x17\x03\x03" + (len(plain) + 16).to_bytes(2, "big")
        nonce = (self._iv ^ self._number).to_bytes(12, "big")
        self._number += 1
        return header + self._key.encrypt(nonce, plain, header)

    def key_update(self) -> bytes:
        """Return a record with a KeyUpdate, and use the next keys from here on."""
        record = self.record(_KEY_UPDATE, _HANDSHAKE)
        self._use(self._expand(b"traffic upd", self._hash().digest_size))
        return record


def client_secret(keylog: Path) -> bytes:
    """Return the secret of the client's application records from a key log file."""
    for line in keylog.read_text().splitlines():
        if line.startswith("CLIENT_TRAFFIC_SECRET_0 "):
            return bytes.fromhex(line.split()[2])
    raise LookupError(f"{keylog}: no client traffic secret")
