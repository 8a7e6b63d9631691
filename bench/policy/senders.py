"""The senders of the load: their domains, clients, DNS records and signed messages.

Each domain has an RSA key of 2048 bits, an SPF record with an include, and the policy p=reject. Its
clients are in the network 198.18.N.0/24 of RFC 2544, because servers check no client of a private
network.
"""

from __future__ import annotations

import random
import time
from base64 import b64encode
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gatepost.mailauth.dkim import BodyHashes, load_private_key, sign

DOMAINS = 8
CLIENTS = 8  # of each domain
SELECTOR = "s1"
LISTS = tuple(f"list{number}.example" for number in range(1, 5))
RECIPIENT = "user@bench.example"
LINE = 76
SIZES = {"4 KB": 4096, "1 MB": 1_000_000}
# The length of a string in a TXT record (RFC 1035 section 3.3).
STRING = 255
DATE = "Mon, 2 Nov 2026 10:00:00 +0000"
TEXT = "The invoice of last month is attached. Please reply with the day on which it can be paid."

ZONE = """\
$TTL 3600
@ SOA ns hostmaster 1 3600 600 86400 3600
@ NS ns
ns A 127.0.0.1
"""
# The test entry of RFC 5782, and the listed client.
ENTRIES = """\
2.0.0.127 A 127.0.0.2
2.99.18.198 A 127.0.0.2
"""


@dataclass(frozen=True)
class Sender:
    """A client that sends mail of a domain: its address, its HELO name and the sender."""

    number: int
    ip: str
    helo: str

    @property
    def domain(self) -> str:
        """The domain of the sender."""
        return f"sender{self.number}.example"

    @property
    def address(self) -> str:
        """The sender in MAIL and in the From field."""
        return f"news@{self.domain}"


SENDERS = tuple(
    Sender(number, f"198.18.{number}.{host}", f"mx{host}.sender{number}.example")
    for host in range(10, 10 + CLIENTS)
    for number in range(DOMAINS)
)
# The lists have an entry for this client only.
LISTED = Sender(0, "198.18.99.2", "listed.sender0.example")


@cache
def key(number: int) -> rsa.RSAPrivateKey:
    """Return the key of a domain."""
    assert number < DOMAINS
    return rsa.generate_private_key(65537, 2048)


def key_record(number: int) -> str:
    """Return the DKIM record of a domain."""
    public = key(number).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    der = public.public_bytes(serialization.Encoding.DER, form)
    return f"v=DKIM1; k=rsa; p={b64encode(der).decode()}"


# DNS


def zones() -> dict[str, str]:
    """Return the zones as text, by name."""
    return {
        "example": ZONE + "".join(_records()),
        "in-addr.arpa": ZONE + "".join(_reverse()),
        **dict.fromkeys(LISTS, ZONE + ENTRIES),
    }


def _records() -> list[str]:
    lines = ['_spf.hosting TXT "v=spf1 ip4:198.18.0.0/16 -all"\n', "bench A 127.0.0.1\n"]
    for number in range(DOMAINS):
        name = f"sender{number}"
        lines += [
            f'{name} TXT "v=spf1 include:_spf.hosting.example -all"\n',
            f"{name} MX 10 mx10.{name}\n",
            f'_dmarc.{name} TXT "v=DMARC1; p=reject"\n',
            f"{SELECTOR}._domainkey.{name} TXT {_strings(key_record(number))}\n",
        ]
    return [*lines, *(f"{sender.helo}. A {sender.ip}\n" for sender in SENDERS)]


def _strings(text: str) -> str:
    parts = (text[start : start + STRING] for start in range(0, len(text), STRING))
    return " ".join(f'"{part}"' for part in parts)


def _reverse() -> list[str]:
    parts = ((sender.ip.split("."), sender.helo) for sender in SENDERS)
    return [f"{'.'.join(reversed(octets))} PTR {helo}.\n" for octets, helo in parts]


# Messages


@cache
def message(number: int, size: int) -> bytes:
    """Return a signed message of a domain with about `size` octets, the lines end with CRLF."""
    name, text = f"sender{number}.example", size <= SIZES["4 KB"]
    body = _text(size - 1100) if text else _attachment(size - 1100)
    kind = "text/plain; charset=utf-8" if text else 'multipart/mixed; boundary="b"'
    fields = {
        "Received": f"from app.{name} by mx10.{name} with ESMTP id 4Xy; {DATE}",
        "From": f"News <news@{name}>",
        "To": f"<{RECIPIENT}>",
        "Subject": "The invoice of last month",
        "Date": DATE,
        "Message-ID": f"<20261102.{size}@{name}>",
        "MIME-Version": "1.0",
        "Content-Type": kind,
    }
    block = "".join(f"{one}: {value}\r\n" for one, value in fields.items()).encode()
    return _signature(number, block, body) + block + b"\r\n" + body


def _signature(number: int, block: bytes, body: bytes) -> bytes:
    hashes = BodyHashes(signing=True)
    hashes.update(body)
    hashes.finish()
    form = serialization.PrivateFormat.PKCS8
    pem = key(number).private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return sign(
        block,
        hashes.for_signing,
        domain=f"sender{number}.example",
        selector=SELECTOR,
        key=load_private_key(pem),
        now=time.time() - 60,
    )


def _text(size: int) -> bytes:
    line = f"{TEXT[: LINE - 2]}\r\n".encode()
    return line * (size // len(line))


def _attachment(size: int) -> bytes:
    octets = b64encode(random.Random(1).randbytes(size * 3 * LINE // (4 * (LINE + 2))))
    lines = (octets[start : start + LINE] + b"\r\n" for start in range(0, len(octets), LINE))
    return b"".join(
        [
            b"--b\r\nContent-Type: text/plain\r\n\r\nThe invoice is attached.\r\n",
            b"--b\r\nContent-Type: application/octet-stream\r\n",
            b"Content-Transfer-Encoding: base64\r\n\r\n",
            *lines,
            b"--b--\r\n",
        ]
    )
