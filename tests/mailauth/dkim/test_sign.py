"""Signatures made by `sign`, and the private keys that it takes."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from tests.mailauth.checks import NOW, dkim, split
from tests.mailauth.keys import pem, private_key
from tests.mailauth.messages import made

from gatepost.mailauth.dkim import (
    BodyHashes,
    PrivateKeyError,
    SignError,
    load_private_key,
    read_signatures,
    sign,
)

MESSAGE = (
    b"From: Joe <joe@example.com>\r\nSubject: a\r\nList-Id: <l>\r\nList-Id: <m>\r\n\r\nHi.\r\n"
)
NAME = "s1._domainkey.example.com"


def signed(message=MESSAGE, kind="rsa", **options):
    head, body = split(message)
    hashes = BodyHashes(signing=True)
    hashes.update(body)
    options = {"domain": "example.com", "selector": "s1", "now": NOW} | options
    return sign(head, hashes.for_signing, key=private_key(kind), **options) + message


def result(message, kind="rsa", now=NOW):
    (found,) = dkim(message, {NAME: private_key(kind).record}, now)
    return found


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_signed_message_passes(kind):
    found = result(signed(kind=kind), kind)
    assert (found.result, found.algorithm) == ("pass", f"{kind}-sha256")


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_generated_messages_pass(kind):
    for number in range(40):
        message = made(number)
        octets = signed(message.octets, kind, domain=message.domain, selector=message.selector)
        (found,) = dkim(octets, {message.record_name: private_key(kind).record})
        assert found.result == "pass", number


def test_lines_are_shorter_than_78():
    field = signed(identity="a very long name" * 5 + "@example.com").partition(b"\r\nFrom")[0]
    assert max(map(len, field.split(b"\r\n"))) < 78


def test_the_fields_that_a_reader_sees_are_oversigned():
    (signature,) = read_signatures(signed().partition(b"\r\n\r\n")[0])
    names = list(signature.names)
    assert names[:2] == [b"from", b"from"]
    assert (names.count(b"to"), names.count(b"subject")) == (1, 2)
    assert (names.count(b"list-id"), names.count(b"sender")) == (2, 0)


@pytest.mark.parametrize("name", [b"From", b"To", b"Subject", b"Reply-To"])
def test_a_field_that_is_added_later_invalidates_the_signature(name):
    assert result(name + b": x@example.org\r\n" + signed()).result == "fail"


def test_a_list_may_add_its_field():
    assert result(b"List-Unsubscribe: <mailto:x@example.org>\r\n" + signed()).result == "pass"


def test_an_identity_and_an_expiry_are_signed():
    octets = signed(identity="jörg=;x@sub.example.com", expires=NOW + 60)
    assert b"i=j=C3=B6rg=3D=3Bx@sub.example.com" in octets
    assert result(octets).identity == "jörg=;x@sub.example.com"
    assert result(octets, now=NOW + 1000).result == "policy"


def test_an_internationalised_domain_is_written_as_a_labels():
    assert b" d=xn--mnchen-3ya.example;" in signed(domain="münchen.example")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"domain": "localhost"}, "d= needs two labels"),
        ({"selector": "a b"}, "s= is not a domain name"),
        ({"selector": "a" * 63, "domain": ".".join(["b" * 60] * 4)}, "longer than 253"),
        ({"identity": "joe@example.org"}, "expected an identity within example.com"),
        ({"headers": ["Subject"]}, "expected a message with a From field"),
    ],
)
def test_parameters_that_make_no_valid_signature_are_refused(options, reason):
    with pytest.raises(SignError, match=reason):
        signed(**options)


def test_a_message_without_from_is_refused():
    with pytest.raises(SignError, match="From field"):
        signed(b"Subject: a\r\n\r\n")


def text(key, encryption=None, form=PrivateFormat.PKCS8):
    return key.private_bytes(Encoding.PEM, form, encryption or NoEncryption())


def test_keys_that_cannot_sign_are_refused():
    curve = ec.generate_private_key(ec.SECP256R1())
    for octets, reason in [
        (b"", "expected a private key in PEM"),
        (b"\xff\0", "expected a private key in PEM"),
        (pem("rsa").encode()[:-100], "expected a private key in PEM"),
        (text(curve), "expected an RSA or Ed25519 key, found ECPrivateKey"),
        (text(curve, BestAvailableEncryption(b"x")), "without password, found an encrypted one"),
    ]:
        with pytest.raises(PrivateKeyError, match=reason):
            load_private_key(octets)


def test_the_text_of_a_key_has_no_secret():
    assert repr(private_key("rsa")) == "PrivateKey('rsa', 2048)"
