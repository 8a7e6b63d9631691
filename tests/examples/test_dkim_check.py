"""The recipe for DKIM: messages that dkimpy signs with a new key."""

import base64
import importlib

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gatepost import Plugin
from gatepost.plugin.base import Installed
from gatepost.testing import FakeResolver, play

pytestmark = pytest.mark.usefixtures("packages")
NAME = "one._domainkey.signer.example"
MESSAGE = b"From: a@signer.example\r\nSubject: hello\r\n\r\ntext\r\n"


class Results(Plugin):
    """Keeps the results of a message."""

    after = ("dkim_check",)
    found = ()

    def on_message(self, tx):
        self.found = [(one.name, one.value, one.facts["domain"]) for one in tx.results]


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def resolver(key):
    octets = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return FakeResolver(txt={NAME: f"v=DKIM1; k=rsa; p={base64.b64encode(octets).decode()}"})


@pytest.fixture
def signed(key, packages):
    dkim = importlib.import_module("dkim")
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return (dkim.sign(MESSAGE, b"one", b"signer.example", pem) + MESSAGE).decode()


def results_of(transcript, resolver):
    plugin = importlib.import_module("examples.dkim_check").DkimCheck()
    results = Results()
    play(transcript, [Installed(plugin, on_error="skip"), results], resolver=resolver)
    return results.found


def test_a_signature_is_verified(send, resolver, signed):
    assert results_of(send(signed), resolver) == [("dkim", "pass", "signer.example")]


def test_a_changed_message_fails(send, resolver, signed):
    changed = signed.replace("Subject: hello", "Subject: other")
    assert results_of(send(changed), resolver) == [("dkim", "fail", "signer.example")]


def test_each_signature_has_a_result(send, resolver, signed):
    bad = "DKIM-Signature: v=1; a=rsa-sha256; d=bad.example; s=two\r\n"
    found = results_of(send(bad + signed), resolver)
    assert [value for _, value, _ in found] == ["permerror", "pass"]


def test_five_signatures_are_verified(send, resolver, signed):
    signature, _, _ = signed.partition("From:")
    assert len(results_of(send(signature * 9 + signed), resolver)) == 5


@pytest.mark.parametrize("content", ["Subject: unsigned\n\ntext", "no header", ""])
def test_other_messages_have_no_result(send, resolver, content):
    assert results_of(send(content), resolver) == []


def test_a_missing_key_is_a_permanent_error(send, signed):
    assert [value for _, value, _ in results_of(send(signed), FakeResolver())] == ["permerror"]


def test_without_an_answer_there_is_no_result(send, signed):
    assert results_of(send(signed), FakeResolver(fail=[NAME])) == []
