"""Private keys of the tests, made once for each process."""

import base64
from functools import cache

from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gatepost.mailauth.dkim import load_private_key


def pem(kind, bits=2048):
    """Return an RSA or Ed25519 key as PEM; RSA in the form that all oracles read."""
    return _new(kind, bits)


@cache
def _new(kind, bits):
    if kind == "ed25519":
        return _text(ed25519.Ed25519PrivateKey.generate(), PrivateFormat.PKCS8)
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return _text(key, PrivateFormat.TraditionalOpenSSL)


def _text(key, form):
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def private_key(kind, bits=2048):
    return _loaded(pem(kind, bits))


@cache
def _loaded(text):
    return load_private_key(text.encode())


def for_dkimpy(kind):
    """Return the key as dkimpy reads it."""
    if kind == "rsa":
        return pem("rsa")
    return base64.b64encode(private_key("ed25519").key.private_bytes_raw()).decode()
