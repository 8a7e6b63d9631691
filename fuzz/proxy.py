"""A PROXY header, cut in any way, has the same outcome, within bounded input."""

import sys

from tests.wire.headers import (
    LOCAL,
    TCP6,
    UNIX,
    V1,
    V1_IPV6,
    addresses,
    assert_outcome_is_final,
    tls,
    v2,
    value,
    with_checksum,
)

from fuzz.engine import Target, run
from gatepost.wire.proxy import SIGNATURE

TOKENS = [
    *(b"PROXY ", b"TCP4 ", b"TCP6 ", b"UNKNOWN", b"\r\n", b"\n", b" ", SIGNATURE, b"EHLO x\r\n"),
    *(b"1.2.3.4 ", b"::1 ", b"::ffff:1.2.3.4 ", b"65536", b"25", b"\x20", b"\x21", b"\x11"),
    *(b"\x00\x0c", b"\x10\x00", b"\x10\x01", b"\xff\xff", b"\x03\x00\x04", b"\x20\x00\x05"),
]
SEEDS = [
    *(V1, V1_IPV6, b"PROXY UNKNOWN\r\n", v2(), V1 + V1, v2() + b"EHLO x\r\n"),
    *(v2(b"", LOCAL), v2(bytes(216), family=UNIX)),
    v2(addresses("2001:db8::1", "::1"), family=TCP6),
    v2(addresses() + value(1, b"smtp") + tls(version=b"TLSv1.3", cipher=b"x")),
    with_checksum(value(4, b"")),
]


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    assert_outcome_is_final(data)


if __name__ == "__main__":
    sys.exit(run(Target(check, SEEDS, TOKENS)))
