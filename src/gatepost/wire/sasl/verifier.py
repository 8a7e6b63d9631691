"""SCRAM-SHA-256 verifiers: stored by a server in place of a password (RFC 5802, 5803, 7677).

The form is `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, in base64.

Security: a stolen verifier does not allow a login, but passwords can be tried offline against it.
The iterations make that slow.
"""

import binascii
import hmac
import re
from base64 import b64decode, b64encode
from hashlib import pbkdf2_hmac, sha256
from typing import NamedTuple, Self

from gatepost.wire.sasl.mechanism import SaslError

SCHEME = "SCRAM-SHA-256"
# RFC 7677 s4 requires at least 4096; clients need about 20 milliseconds for these.
ITERATIONS = 32_768
MAX_ITERATIONS = 10_000_000
SALT_SIZE = 16
MAX_SALT = 64
KEY_SIZE = 32

_WRITTEN = re.compile(
    r"SCRAM-SHA-256\$([1-9][0-9]{0,7}):([A-Za-z0-9+/=]+)"
    r"\$([A-Za-z0-9+/=]{44}):([A-Za-z0-9+/=]{44})"
)


class Verifier(NamedTuple):
    """The verifier of one user; `str()` returns the form above."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    def __repr__(self) -> str:
        return "Verifier(...)"

    @classmethod
    def make(cls, password: str, salt: bytes, iterations: int = ITERATIONS) -> Self:
        """Return the verifier of a (prepared) password: RFC 5802 section 3."""
        salted = pbkdf2_hmac("sha256", password.encode(), salt, iterations)
        stored = sha256(hmac_sha256(salted, b"Client Key")).digest()
        return cls(salt, iterations, stored, hmac_sha256(salted, b"Server Key"))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the form above. Raises ValueError."""
        match = _WRITTEN.fullmatch(text)
        if match is None or int(match[1]) > MAX_ITERATIONS:
            raise ValueError("expected SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")
        salt, stored, server = (decode_base64(match[at]) for at in (2, 3, 4))
        if not len(salt) <= MAX_SALT or len(stored) != KEY_SIZE or len(server) != KEY_SIZE:
            raise ValueError("expected a salt of at most 64 octets, and keys of 32")
        return cls(salt, int(match[1]), stored, server)

    def __str__(self) -> str:
        salt, stored, server = (
            b64encode(one).decode() for one in (self.salt, self.stored_key, self.server_key)
        )
        return f"{SCHEME}${self.iterations}:{salt}${stored}:{server}"


def hmac_sha256(key: bytes, text: bytes) -> bytes:
    """Return HMAC-SHA-256."""
    return hmac.digest(key, text, "sha256")


def decode_base64(text: str) -> bytes:
    """Decode base64 with its padding, without other characters. Raises `SaslError`."""
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SaslError("expected base64") from None
