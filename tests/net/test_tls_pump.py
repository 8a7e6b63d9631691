"""TLS over memory: what the pump decrypts, says and knows."""

import ssl

import pytest
from tests.net.authority import (
    Shaken,
    client_context,
    issued,
    other_authority,
    write,
    write_authority,
)

from gatepost.net.tls import KeyPair, ListenerTls
from gatepost.net.tls_pump import RECORD, TlsFailedError, TlsPump

NAME = "mx.example.com"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture
def pump(tmp_path):
    return TlsPump(listener(tmp_path).context())


def listener(folder, client_ca=None):
    pair = KeyPair(["*"], *write(folder, NAME), client_ca)
    pair.load()
    return ListenerTls("implicit", [pair])


@pytest.mark.parametrize("version", VERSIONS)
def test_both_directions(pump, version):
    shaken = Shaken(pump, client_context(minimum_version=version, maximum_version=version))
    assert shaken.shake() == b""
    assert shaken.exchange(b"EHLO x\r\n") == b"EHLO x\r\n"
    pump.send(b"250 mx\r\n")
    assert shaken.heard() == b"250 mx\r\n"
    facts = pump.facts()
    assert facts.version == shaken.client.version()
    assert facts.cipher == shaken.client.cipher()[0]
    assert facts.sni == NAME


@pytest.mark.parametrize("size", [1, RECORD - 1, RECORD, RECORD + 1, 5 * RECORD])
def test_records_of_any_size_however_they_are_cut(pump, size):
    shaken = Shaken(pump)
    shaken.shake()
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    shaken.client.write(data)
    sent = shaken.outgoing.read()
    pieces = [pump.receive(sent[at : at + 1000]) for at in range(0, len(sent), 1000)]
    assert b"".join(pieces) == data


def test_what_comes_with_the_end_of_the_handshake_is_not_lost(pump):
    shaken = Shaken(pump)
    shaken.incoming.write(b"")
    with pytest.raises(ssl.SSLWantReadError):
        shaken.client.do_handshake()
    shaken.exchange()
    shaken.client.do_handshake()
    assert shaken.exchange(b"EHLO early\r\n") == b"EHLO early\r\n"
    assert not pump.handshaking


def test_nothing_is_read_after_close_notify(pump):
    shaken = Shaken(pump)
    shaken.shake()
    shaken.client.write(b"DATA\r\n")
    with pytest.raises(ssl.SSLWantReadError):
        shaken.client.unwrap()
    assert pump.receive(shaken.outgoing.read() + b"NOOP\r\n") == b"DATA\r\n"
    assert pump.ended
    assert pump.receive(b"NOOP\r\n") == b""


def test_a_forged_record_ends_it(pump):
    shaken = Shaken(pump)
    shaken.shake()
    shaken.client.write(b"MAIL FROM:<a@b>\r\n")
    sent = bytearray(shaken.outgoing.read())
    sent[-1] ^= 1
    with pytest.raises(TlsFailedError, match=r"^DECRYPTION_FAILED_OR_BAD_RECORD_MAC$"):
        pump.receive(bytes(sent))


@pytest.mark.parametrize("data", [b"EHLO x\r\n", b"GET / HTTP/1.0\r\n\r\n", b"\x15\x03\x01", b"\0"])
def test_who_does_not_speak_tls_is_told_nothing(pump, data):
    try:
        while not pump.receive(data):
            pass
    except TlsFailedError:
        assert pump.outgoing() == b""


def test_a_handshake_that_fails_is_answered_by_an_alert(pump):
    with pytest.raises(TlsFailedError):
        pump.receive(b"\x16\x03\x01\x00\x04\x01\x00\x00\x00")
    assert pump.outgoing()[:1] == b"\x15"


def test_close_notify_is_said(pump):
    shaken = Shaken(pump)
    shaken.shake()
    pump.close()
    shaken.incoming.write(pump.outgoing())
    assert shaken.client.read() == b""


def test_a_client_that_asks_for_no_name(pump):
    shaken = Shaken(pump, client_context(check_hostname=False), name=None)
    shaken.shake()
    assert pump.facts().sni == ""


def test_a_client_certificate_is_a_fact(tmp_path):
    made = listener(tmp_path, write_authority(tmp_path))
    pump = TlsPump(made.context())
    Shaken(pump, client_context(issued("client.example"))).shake()
    facts = pump.facts()
    assert facts.peer_subject.startswith("CN=client.example,OU=")
    assert len(bytes.fromhex(facts.peer_fingerprint)) == 32
    without = TlsPump(made.context())
    Shaken(without).shake()
    assert (without.facts().peer_subject, without.facts().peer_fingerprint) == ("", "")


def test_a_client_certificate_nobody_vouches_for_ends_the_handshake(tmp_path):
    made = listener(tmp_path, write_authority(tmp_path))
    stranger = other_authority().issue_cert("client.example")
    with pytest.raises(TlsFailedError, match=r"^CERTIFICATE_VERIFY_FAILED: unable to"):
        Shaken(TlsPump(made.context()), client_context(stranger)).shake()
