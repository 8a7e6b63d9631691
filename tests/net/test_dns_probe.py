"""One question to one name server: whether it answers and checks signatures."""

import socket
import struct
import threading
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.net import dns_probe
from gatepost.net.dns_probe import Probe, host_of, probe, read_flags, system_servers
from gatepost.net.public_resolvers import OPERATORS, operator_of


@contextmanager
def server(*answers, family=socket.AF_INET, host="127.0.0.1"):
    """Answer each datagram with the next function of its data; None sends nothing."""
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.bind((host, 0))
        asked = []

        def run():
            for answer in answers:
                data, client = sock.recvfrom(512)
                asked.append(data)
                if answer is not None:
                    sock.sendto(answer(data), client)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        port = sock.getsockname()[1]
        yield (f"[{host}]:{port}" if ":" in host else f"{host}:{port}"), asked
        thread.join(60)
        assert not thread.is_alive()


def flags(value):
    return lambda data: data[:2] + struct.pack("!H", value) + data[4:]


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (flags(0x81A0), Probe(0, validates=True)),
        (flags(0x8180), Probe(0)),
        (flags(0x8182), Probe(2)),
        (flags(0x0100), Probe(None)),
        (lambda data: flags(0x81A0)(b"xx" + data[2:]), Probe(None)),
        (lambda data: data[:5], Probe(None)),
    ],
)
def test_the_header_of_the_answer_decides(answer, result):
    with server(answer) as (address, asked):
        assert probe(address, "a.example") == result
    assert asked[0][2:4] == b"\x01\x20"  # RD and AD
    assert asked[0][12:] == b"\x01a\x07example\x00\x00\x02\x00\x01"


def test_the_question_is_repeated(monkeypatch):
    monkeypatch.setattr(dns_probe, "WAIT", 1.0)
    with server(None, flags(0x81A0)) as (address, asked):
        assert probe(address).validates
    assert asked[0] == asked[1]


def test_a_server_without_an_answer_is_given_up(monkeypatch):
    monkeypatch.setattr(dns_probe, "WAIT", 0.01)
    with server(None, None) as (address, _):
        assert probe(address) == Probe(None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    assert probe(f"127.0.0.1:{port}") == Probe(None)


@pytest.mark.parametrize("address", ["", "x", "dns://x", "192.0.2.1:x", "[fe80::1%none]:53"])
def test_an_address_that_cannot_be_used_does_not_answer(address):
    assert probe(address) == Probe(None)


def test_addresses_of_both_families():
    assert host_of("192.0.2.1:53") == "192.0.2.1"
    assert host_of("[2001:db8::1]:5353") == "2001:db8::1"
    assert all(host_of(one) for one in system_servers())


@given(st.binary(max_size=40), st.integers(0, 65535))
def test_any_data_has_flags_or_none(data, number):
    found = read_flags(data, number)
    assert found is None or 0x8000 <= found <= 0xFFFF


@pytest.mark.parametrize(
    ("address", "operator"),
    [
        ("8.8.8.8", "Google"),
        ("2001:4860:4860:0:0:0:0:8888", "Google"),
        ("1.1.1.1", "Cloudflare"),
        ("9.9.9.9", "Quad9"),
        ("64.6.64.6", "UltraDNS"),
        ("208.67.222.222", "OpenDNS"),
        ("127.0.0.1", ""),
        ("", ""),
    ],
)
def test_public_resolvers_are_known_by_address(address, operator):
    assert operator_of(address) == operator
    assert len(OPERATORS) > 50
