"""Listen addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.config.listen import (
    InetAddress,
    InheritedSocket,
    ListenError,
    UnixAddress,
    parse_listen_address,
)

GOOD = [
    ("127.0.0.1:2525", InetAddress("127.0.0.1", 2525)),
    ("0.0.0.0:0", InetAddress("0.0.0.0", 0)),
    ("[::1]:25", InetAddress("::1", 25)),
    ("[::]:65535", InetAddress("::", 65535)),
    ("[fe80::1%eth0]:25", InetAddress("fe80::1%eth0", 25)),
    ("unix:/run/gp.sock", UnixAddress("/run/gp.sock")),
    ("unix:gp.sock", UnixAddress("gp.sock")),
    ("fd:3", InheritedSocket(3)),
]


@pytest.mark.parametrize(("text", "address"), GOOD)
def test_an_address_is_parsed(text, address):
    assert parse_listen_address(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2525",
        ":2525",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:+25",
        "127.0.0.1:25\n",
        "127.0.0.256:25",
        "127.0.01.1:25",
        "localhost:25",
        "*:25",
        "::1:25",
        "[::1]",
        "[127.0.0.1]:25",
        "[::g]:25",
        "unix:",
        "unix:/a\0b",
        "unix:/" + "a" * 103,
        "fd:",
        "fd:-1",
        "fd:2147483648",
        "fd:٣",
        "tcp:127.0.0.1:25",
    ],
)
def test_a_bad_address_is_refused(text):
    with pytest.raises(ListenError) as caught:
        parse_listen_address(text)
    assert str(caught.value) == (
        'expected an address such as "127.0.0.1:2525", "0.0.0.0:25" (all of IPv4), "[::]:25" (all'
        f' of IPv6), "unix:/run/gatepost.sock" or "fd:3", found {text[:80]!r}'
    )


@given(
    st.one_of(
        st.text(),
        st.from_regex(r"(unix:|fd:|\[|)[0-9a-f:.%\]]{0,40}:?[0-9]{0,6}", fullmatch=True),
    )
)
def test_any_text_is_a_stable_address_or_refused(text):
    try:
        address = parse_listen_address(text)
    except ListenError:
        return
    assert parse_listen_address(str(address)) == address
