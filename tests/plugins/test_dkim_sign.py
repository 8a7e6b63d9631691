"""Signatures for the mail of users."""

from base64 import b64encode
from email import message_from_bytes

import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric import rsa

from gatepost import Plugin, accept
from gatepost.mailauth.dkim import BodyHashes, read_signatures
from gatepost.mailauth.dkim import verify as verify_signatures
from gatepost.mailauth.zone import Zone, ask_zone
from gatepost.plugin.host import PluginError
from gatepost.plugins.dkim_sign import DkimSign
from gatepost.testing import play

HELLO = """
    S: 220
    C: EHLO laptop.client.example
    S: 250
"""
AUTH = f"""
    C: AUTH PLAIN {b64encode(b"-alice-secret".replace(b"-", bytes(1))).decode()}
    S: 235
"""
MAIL = """
    C: MAIL FROM:<alice@{domain}>
    S: 250
    C: RCPT TO:<user@example.com>
    S: 250
    C: DATA
    S: 354
    C: From: Alice <alice@{domain}>
    C: Subject: hello
    C: Date: Mon, 1 Jan 2024 00:00:00 +0000
    C: Message-ID: <1@laptop.client.example>
    C:
    C: Hello  there.
    C: .
    S: 250
"""
LISTEN = [{"address": "127.0.0.1:0", "auth": True}]
CONFIG = {"listen": LISTEN, "auth": {"clear": True}}
RELAY = {"route": [{"for": ["*"], "to": "discard:", "relay_for": ["192.0.2.0/24"]}]}
PEER = ("192.0.2.7", 50000)
NOW = 1704067200.0  # the clock of `play`


class Users(Plugin):
    """Authenticates every client."""

    def on_auth(self, session, attempt):
        return accept()


class Edits(Plugin):
    """Changes the message."""

    def on_message(self, tx):
        tx.message.replace_header("Subject", "changed")
        tx.message.replace_body(b"Another  body.\r\n")


@pytest.fixture(scope="module")
def private():
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def key(private, tmp_path):
    file = tmp_path / "dkim.pem"
    pem = private.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    file.write_bytes(pem)
    return file


@pytest.fixture
def verifies(private):
    """A function: is the signature of a message valid?"""
    public = private.public_key()
    der = public.public_bytes(s.Encoding.DER, s.PublicFormat.SubjectPublicKeyInfo)
    record = f"v=DKIM1; k=rsa; p={b64encode(der).decode()}"
    zone = Zone({"s1._domainkey.example.com": [{"TXT": record}]})

    def verify(content):
        signed = content[content.index(b"DKIM-Signature:") :]
        block, _, body = signed.partition(b"\r\n\r\n")
        found = read_signatures(block + b"\r\n")
        hashes = BodyHashes(found)
        hashes.update(body)
        hashes.finish()
        (result,) = ask_zone(verify_signatures(block + b"\r\n", found, hashes, NOW), zone)
        return result.result == "pass"

    return verify


def signer(key, *domains, **options):
    return DkimSign(keys=[{"domains": domains, "selector": "s1", "file": str(key)}], **options)


def sent(*plugins, domain="example.com", config=CONFIG, login=AUTH):
    text = HELLO + login + MAIL.format(domain=domain)
    (message,) = play(text, [Users(), *plugins], config=config, peer=PEER).messages
    return message.content


def signatures(content):
    return message_from_bytes(content).get_all("DKIM-Signature", [])


def test_mail_of_a_user_is_signed(key, verifies):
    content = sent(signer(key, "example.com"))
    (field,) = signatures(content)
    assert "d=example.com" in field
    assert "x=" not in field
    assert verifies(content)


def test_the_message_is_signed_as_plugins_have_edited_it(key, verifies):
    content = sent(Edits(), signer(key, "example.com"))
    assert b"Another  body." in content
    assert verifies(content)


def test_a_parent_domain_signs_for_a_subdomain(key, verifies):
    content = sent(signer(key, "example.com"), domain="mail.example.com")
    assert "d=example.com" in signatures(content)[0]
    assert verifies(content)


def test_every_key_of_a_domain_signs(key):
    keys = [{"domains": ["example.com"], "selector": one, "file": str(key)} for one in ("a", "b")]
    fields = signatures(sent(DkimSign(keys=keys)))
    assert sorted(field.partition("s=")[2][0] for field in fields) == ["a", "b"]


def test_a_signature_can_expire(key):
    assert "x=1704672000" in signatures(sent(signer(key, "example.com", expires=True)))[0]


def test_mail_of_another_domain_is_not_signed(key):
    assert signatures(sent(signer(key, "example.com"), domain="client.example")) == []


def test_mail_of_a_client_that_has_not_authenticated_is_not_signed(key):
    assert signatures(sent(signer(key, "example.com"), login="")) == []


@pytest.mark.parametrize(("relays", "count"), [(True, 1), (False, 0)])
def test_mail_of_relay_networks_is_signed_unless_switched_off(key, relays, count):
    plugin = signer(key, "example.com", relays=relays)
    assert len(signatures(sent(plugin, login="", config=CONFIG | RELAY))) == count


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\n"])
def test_a_file_without_a_key_keeps_the_server_from_starting(tmp_path, content):
    file = tmp_path / "dkim.pem"
    file.write_bytes(content)
    with pytest.raises(PluginError, match=r"dkim\.pem"):
        play("S: 220", [signer(file, "example.com")])


class Reports(Plugin):
    """Sends a report about each message."""

    async def on_delivered(self, tx):
        report = b"From: Server <server@mx.example.com>\r\nSubject: report\r\n\r\nOne message.\r\n"
        await self.submit("", ["postmaster@example.com"], report)


def test_mail_of_plugins_is_signed(key, verifies):
    text = HELLO + MAIL.format(domain="client.example")
    (report,) = play(text, [signer(key, "example.com"), Reports()]).submitted
    assert "d=example.com" in signatures(report.content)[0]
    assert verifies(report.content)
