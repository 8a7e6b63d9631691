"""Signed messages for the tests of plugins, and the DNS that belongs to them."""

from base64 import b64encode
from functools import cache

from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatepost.mailauth.dkim import BodyHashes, load_private_key, sign

NOW = 1704067200.0  # the clock of gatepost.testing.play
BODY = b"Hello.\r\n"


@cache
def pem():
    """Return a private key as PEM."""
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())


def record():
    """Return the TXT record of the key."""
    key = s.load_pem_private_key(pem(), None).public_key()
    raw = key.public_bytes(s.Encoding.Raw, s.PublicFormat.Raw)
    return f"v=DKIM1; k=ed25519; p={b64encode(raw).decode()}"


def message(author="a@client.example", signer="client.example", body=BODY):
    """Return a message that `signer` has signed, "" for none."""
    block = f"From: {author}\r\nSubject: hello\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n".encode()
    if not signer:
        return block + b"\r\n" + body
    hashes = BodyHashes(signing=True)
    hashes.update(body)
    hashes.finish()
    digest = hashes.get("relaxed", None).digest
    key = load_private_key(pem())
    field = sign(block, digest, domain=signer, selector="s1", key=key, now=NOW)
    return field + block + b"\r\n" + body


def transcript(content, sender="a@client.example", end="S: 250"):
    """Return a dialogue that sends a message."""
    lines = content.decode().split("\r\n")[:-1]
    sent = "\n".join(f"C: {'.' * line.startswith('.')}{line}" for line in lines)
    return (
        f"""
        S: 220
        C: EHLO mail.client.example
        S: 250
        C: MAIL FROM:<{sender}>
        S: 250
        C: RCPT TO:<user@example.com>
        S: 250
        C: DATA
        S: 354
    """
        + sent
        + f"\nC: .\n{end}\n"
    )
