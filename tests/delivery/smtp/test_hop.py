"""Addresses of next hops."""

from pathlib import Path

import pytest

from gatepost.delivery.smtp.hop import Hop, parse_hop

BASE = Path("/srv")
HOPS = [
    ("smtp", "//mail.example", Hop("smtp", "mail.example", 25), "smtp://mail.example:25"),
    ("smtp", "//Mail.Example:2525/", Hop("smtp", "mail.example", 2525), "smtp://mail.example:2525"),
    ("smtps", "//192.0.2.1", Hop("smtps", "192.0.2.1", 465), "smtps://192.0.2.1:465"),
    ("lmtp", "//[2001:DB8::1]:24", Hop("lmtp", "2001:db8::1", 24), "lmtp://[2001:db8::1]:24"),
    ("lmtp", "//localhost", Hop("lmtp", "localhost", 24), "lmtp://localhost:24"),
    ("lmtp", "unix:/run/l", Hop("lmtp", "localhost", path="/run/l"), "lmtp:unix:/run/l"),
    ("lmtp", "unix:run/l", Hop("lmtp", "localhost", path="/srv/run/l"), "lmtp:unix:/srv/run/l"),
    ("smtp", "//müller.example", Hop("smtp", "xn--mller-kva.example", 25), None),
]


@pytest.mark.parametrize(("scheme", "rest", "hop", "text"), HOPS)
def test_hops_are_parsed(scheme, rest, hop, text):
    assert parse_hop(scheme, rest, BASE) == hop
    assert str(hop) == (text or str(hop))


@pytest.mark.parametrize(
    "rest",
    [
        *("", "//", "host", "//:25", "//h:", "//h:0", "//h:65536", "//h:x", "//a b", "//u@h"),
        *("//h/x", "//[::1", "//::1", "//[x]:25", "//-", "unix:/x", "//h:25:26"),
        "//[fe80::1%eth0]",
    ],
)  # fmt: skip
def test_invalid_hops_are_refused(rest):
    with pytest.raises(ValueError):
        parse_hop("smtp", rest, BASE)


def test_a_socket_has_a_path():
    with pytest.raises(ValueError, match="or unix:PATH after lmtp:, found 'unix:'"):
        parse_hop("lmtp", "unix:", BASE)


@pytest.mark.parametrize(
    ("rest", "loopback"),
    [
        *(("//localhost", True), ("//127.0.0.9", True), ("//[::1]", True), ("unix:/x", True)),
        *(("//192.0.2.1", False), ("//localhost.example", False)),
    ],
)  # fmt: skip
def test_loopback_hops(rest, loopback):
    assert parse_hop("lmtp", rest, BASE).is_loopback == loopback
