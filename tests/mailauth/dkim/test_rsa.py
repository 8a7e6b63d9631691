"""The RSA keys that are accepted: RFC 8301 section 3.2, and the limits of the CPU."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.mailauth.checks import dkim
from tests.mailauth.dkim.test_verify import KEY, MESSAGE, NAME
from tests.mailauth.reference import signed


def record(key, encoding=Encoding.DER, form=PublicFormat.SubjectPublicKeyInfo):
    return f"v=DKIM1; p={base64.b64encode(key.public_bytes(encoding, form)).decode()}"


def numbers(bits, exponent=65537):
    """Return a public key of so many bits; it has no private key."""
    return rsa.RSAPublicNumbers(exponent, (1 << bits) - 159).public_key()


@pytest.mark.parametrize(
    ("key", "word"),
    [
        (numbers(1023), "policy"),
        (numbers(1024), "fail"),
        (numbers(8192), "fail"),
        (numbers(8193), "policy"),
        (numbers(2048, 3), "fail"),
        (numbers(2048, (1 << 32) - 1), "fail"),
        (numbers(2048, (1 << 32) + 1), "policy"),
    ],
    ids=["1023", "1024", "8192", "8193", "e3", "e32", "e33"],
)
def test_the_bits_of_keys_have_limits(key, word):
    (found,) = dkim(signed(MESSAGE, KEY), {NAME: record(key)})
    assert found.result == word, found.reason


def test_a_key_in_the_older_form_passes():
    older = record(KEY.key.public_key(), form=PublicFormat.PKCS1)
    (found,) = dkim(signed(MESSAGE, KEY), {NAME: older})
    assert found.result == "pass"


def test_a_key_of_another_type_is_refused():
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    (found,) = dkim(signed(MESSAGE, KEY), {NAME: record(other)})
    assert (found.result, "no rsa key" in found.reason) == ("permerror", True)
