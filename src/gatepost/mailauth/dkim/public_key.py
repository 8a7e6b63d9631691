"""Public keys of RSA and Ed25519: RFC 6376 section 3.3, RFC 8301, RFC 8463.

Limits: RSA of LEAST_BITS to MOST_BITS with an exponent of at most 32 bits. To verify one signature
takes 0.04 ms with 2048 bits, 0.1 ms with 4096 and 0.4 ms with 8192; an exponent of 32 bits doubles
that. With 16384 bits it would be 1.6 to 3 ms.
"""

from typing import Literal, TypeAlias

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from gatepost.mailauth.dkim.fault import SignatureError

KeyType: TypeAlias = Literal["rsa", "ed25519"]
# RFC 8301 section 3.2: verifiers must refuse shorter keys, and must accept 1024 to 4096 bits.
LEAST_BITS, MOST_BITS = 1024, 8192
_MOST_EXPONENT_BITS = 32
_DIGEST = Prehashed(SHA256())
_PADDING = PKCS1v15()


class PublicKey(msgspec.Struct, frozen=True):
    """A key that can verify; `bits` is the length of an RSA modulus, 256 for Ed25519."""

    key_type: KeyType
    bits: int
    key: RSAPublicKey | Ed25519PublicKey

    def verifies(self, signature: bytes, digest: bytes) -> bool:
        """Return whether this is the signature of a message with this SHA-256 digest."""
        try:
            if isinstance(self.key, RSAPublicKey):
                self.key.verify(signature, digest, _PADDING, _DIGEST)
            else:
                self.key.verify(signature, digest)
        except InvalidSignature:
            return False
        return True

    def require_accepted(self) -> None:
        """Raise `SignatureError` if the length of an RSA key is not accepted."""
        if not isinstance(self.key, RSAPublicKey):
            return
        if self.bits < LEAST_BITS:
            raise SignatureError("policy", f"the RSA key has {self.bits} bits, not {LEAST_BITS}")
        exponent = self.key.public_numbers().e.bit_length()
        if self.bits > MOST_BITS or exponent > _MOST_EXPONENT_BITS:
            raise SignatureError(
                "policy",
                f"the RSA key has {self.bits} bits and an exponent of {exponent}; accepted are"
                f" {MOST_BITS} and {_MOST_EXPONENT_BITS}",
            )


def load_public_key(key_type: str, octets: bytes) -> PublicKey:
    """Return the key of a p= value; raise `SignatureError`."""
    loader = _LOADERS.get(key_type)
    if loader is None:
        raise SignatureError("permerror", f"the key type {key_type[:20]!r} is not supported")
    try:
        key = loader(octets)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if isinstance(key, RSAPublicKey):
        return PublicKey("rsa", key.key_size, key)
    if isinstance(key, Ed25519PublicKey):
        return PublicKey("ed25519", 256, key)
    raise SignatureError("permerror", f"the p= value of the key is no {key_type} key")


def _load_rsa(octets: bytes) -> RSAPublicKey | None:
    """Read SubjectPublicKeyInfo or RSAPublicKey; RFC 6376 names the one and shows the other."""
    key = load_der_public_key(octets)
    return key if isinstance(key, RSAPublicKey) else None


_LOADERS = {"rsa": _load_rsa, "ed25519": Ed25519PublicKey.from_public_bytes}
