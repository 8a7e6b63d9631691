"""Any text is an address that reads back unchanged, without line breaks, or an `AddressError`.

In RCPT the same text in angle brackets gives the same address or a refusal.
"""

import sys

from tests.wire.driver import MAIL, play

from fuzz.engine import Target, run
from gatepost.model.address import Address, AddressError, domain_key
from gatepost.wire import events as e

TOKENS = [
    *(b"@", b".", b"..", b"-", b'"', b"\\", b"<", b">", b" ", b"\0", b"\r\n", b"\t", b",", b":"),
    *(b"[", b"]", b"[IPv6:", b"::1]", b"192.0.2.1", b"%", b"xn--", b"\xc3\xbc", b"\xe7\x8c\xab"),
    *(b"a" * 60, b"@a:", b"@a,@b:", b"postmaster"),
]
SEEDS = [
    b"a@b",
    b"first.last+tag@mail.example.com",
    b'"a b\\"c\\\\"@example.com',
    b"a@[192.0.2.1]",
    b"a@[IPv6:2001:db8::1]",
    b"a@[tag:content]",
    b"@x,@y:a@b",
    "jürgen@müller.example".encode(),
    "猫@日本.example".encode(),
    b"a@xn--mller-kva.example",
    b"a..b.@my_host.example.",
    "a@☃.example".encode(),
]


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    text = data.decode("utf-8", "replace")
    try:
        address = Address.parse(text)
    except AddressError:
        return
    assert Address.parse(str(address)) == address
    assert not set(str(address)) & set("\r\n\0")
    assert domain_key(domain_key(address.domain)) == domain_key(address.domain)
    assert address.key
    events = play(MAIL + f"RCPT TO:<{text}>\r\n".encode()).events
    assert isinstance(events[-1], e.Fault) or events[-1] == e.Rcpt(address, {})


if __name__ == "__main__":
    sys.exit(run(Target(check, SEEDS, TOKENS)))
