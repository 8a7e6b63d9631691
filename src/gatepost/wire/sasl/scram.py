"""SCRAM-SHA-256 (RFC 5802, RFC 7677): the client proves its password without sending it.

Channel binding is not supported: a request for it (`p=`) is refused, `n` and `y` are accepted.

Security: a client cannot find out which users exist. `find` returns a verifier for every name; that
of an unknown user has a salt derived from the name (`fake_verifier`), and the exchange takes the
same steps. `nonce` must come from a secure random source, and be new for each exchange.
Limits: MAX_NONCE, so that a challenge fits on one line of a reply.
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256

from gatepost.model.auth_attempt import AuthAttempt
from gatepost.wire.sasl.mechanism import Challenge, SaslError
from gatepost.wire.sasl.prepare import prepare_name
from gatepost.wire.sasl.verifier import (
    KEY_SIZE,
    SALT_SIZE,
    SCHEME,
    Verifier,
    decode_base64,
    hmac_sha256,
)

MAX_NONCE = 96

# RFC 5802 s7; optional extensions are ignored, mandatory ones (m=) are not supported
_CLIENT_FIRST = re.compile(
    rf"(?P<header>[ny],(?:a=(?P<authzid>[^,]+))?,)"
    rf"(?P<bare>n=(?P<user>[^,]+),r=(?P<nonce>[!-+\--~]{{1,{MAX_NONCE}}})(?:,[A-Za-z]=[^,]+)*)"
)
_CLIENT_FINAL = re.compile(
    r"(?P<unproven>c=(?P<header>[A-Za-z0-9+/=]+),r=(?P<nonce>[!-+\--~]+)(?:,[A-Za-z]=[^,]+)*)"
    r",p=(?P<proof>[A-Za-z0-9+/=]+)"
)
_SAVED = re.compile(r"(?:[^=]|=2C|=3D)*")


class ScramSha256:
    """One exchange. `find` returns the verifier of a name; `nonce` is printable, without comma."""

    __slots__ = (
        "_authzid",
        "_find",
        "_header",
        "_messages",
        "_nonce",
        "_step",
        "_user",
        "_verifier",
    )

    _verifier: Verifier

    def __init__(self, nonce: str, find: Callable[[str], Verifier]) -> None:
        self._find = find
        self._nonce = nonce
        self._header = self._messages = self._user = self._authzid = ""
        self._step: Callable[[str], Challenge | AuthAttempt] = self._first

    def step(self, response: bytes | None) -> Challenge | AuthAttempt:
        """See `Mechanism.step`."""
        if response is None:
            return Challenge(b"")
        try:
            text = response.decode()
        except UnicodeDecodeError:
            raise SaslError("expected UTF-8") from None
        return self._step(text)

    def _first(self, text: str) -> Challenge:
        match = _CLIENT_FIRST.fullmatch(text)
        if match is None:
            raise SaslError("expected a client-first-message without channel binding")
        self._authzid = _name(match["authzid"]) if match["authzid"] else ""
        self._user = _name(match["user"])
        self._verifier = self._find(self._user)
        self._nonce = match["nonce"] + self._nonce
        self._header = match["header"]
        salt = b64encode(self._verifier.salt).decode()
        challenge = f"r={self._nonce},s={salt},i={self._verifier.iterations}"
        self._messages = f"{match['bare']},{challenge}"
        self._step = self._final
        return Challenge(challenge.encode())

    def _final(self, text: str) -> Challenge | AuthAttempt:
        match = _CLIENT_FINAL.fullmatch(text)
        if match is None or match["nonce"] != self._nonce:
            raise SaslError("expected a client-final-message with the nonce of this exchange")
        if decode_base64(match["header"]) != self._header.encode():
            raise SaslError("expected the header of the client-first-message again")
        messages = f"{self._messages},{match['unproven']}".encode()
        if not _proves(self._verifier, messages, decode_base64(match["proof"])):
            return self._attempt(proven=False)
        self._step = self._acknowledged
        signature = hmac_sha256(self._verifier.server_key, messages)
        return Challenge(b"v=" + b64encode(signature))

    def _acknowledged(self, text: str) -> AuthAttempt:
        """Process the empty response to the server's proof (RFC 4954 section 4)."""
        if text:
            raise SaslError("expected an empty response")
        return self._attempt(proven=True)

    def _attempt(self, *, proven: bool) -> AuthAttempt:
        return AuthAttempt(SCHEME, self._user, authzid=self._authzid, proven=proven)


def _name(text: str) -> str:
    if not _SAVED.fullmatch(text):
        raise SaslError("expected =2C or =3D after an equals sign")
    return prepare_name(text.replace("=2C", ",").replace("=3D", "=").encode())


def _proves(verifier: Verifier, messages: bytes, proof: bytes) -> bool:
    """Return whether the proof is valid: ClientProof XOR ClientSignature is the ClientKey."""
    signature = hmac_sha256(verifier.stored_key, messages)
    key = bytes(one ^ other for one, other in zip(proof, signature, strict=False))
    return hmac.compare_digest(sha256(key).digest(), verifier.stored_key)


def fake_verifier(name: str, secret: bytes, iterations: int) -> Verifier:
    """Return the verifier of an unknown user: always the same, and no proof matches it."""
    salt = hmac_sha256(secret, b"salt\0" + name.encode())[:SALT_SIZE]
    key = hmac_sha256(secret, b"key\0" + name.encode())
    assert len(key) == KEY_SIZE
    return Verifier(salt, iterations, key, key)
