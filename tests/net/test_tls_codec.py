"""TLS in memory: decryption, alerts, facts, and the bounds of a turn."""

import ssl

import pytest
from endurance.key_updates import KeyUpdater, client_secret
from tests.net.authority import (
    MemoryTlsClient,
    client_context,
    issued,
    other_authority,
    write,
    write_authority,
)

from gatepost.net.tls import DEFAULT_KINDS, KeyPair, ListenerTls
from gatepost.net.tls_codec import MAX_SILENT, RECORD, RECORD_COST, TlsCodec, TlsFailedError
from gatepost.net.turns import TURN

NAME = "mx.example.com"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture
def codec(tmp_path):
    return TlsCodec(listener(tmp_path).context())


def listener(folder, client_ca=None):
    pair = KeyPair(["*"], *write(folder, NAME), client_ca)
    pair.load()
    return ListenerTls(DEFAULT_KINDS[1], [pair])


def receive_rest(codec):
    """Return the octets that further turns decrypt."""
    pieces = []
    while codec.more:
        pieces.append(codec.receive(b""))
    return pieces


@pytest.fixture
def updater(codec, tmp_path):
    """Return the keys of a client after its handshake with the codec."""
    context = client_context(minimum_version=ssl.TLSVersion.TLSv1_3)
    context.keylog_filename = str(tmp_path / "keys")
    client = MemoryTlsClient(codec, context)
    client.handshake()
    return KeyUpdater(client.tls.cipher()[0], client_secret(tmp_path / "keys"))


def test_a_few_key_updates_are_accepted(codec, updater):
    sent = b"".join(updater.key_update() + updater.record(b"NOOP\r\n") for _ in range(100))
    pieces = [codec.receive(sent), *receive_rest(codec)]
    assert b"".join(pieces) == b"NOOP\r\n" * 100


def test_many_key_updates_without_data_end_the_connection(codec, updater):
    sent = b"".join(updater.key_update() for _ in range(MAX_SILENT + 1))
    with pytest.raises(TlsFailedError, match=r"^too many records without data$"):
        codec.receive(sent)


def test_turn_decrypts_a_bounded_number_of_records(codec, updater):
    sent = b"".join(updater.record(b"x") for _ in range(1000))
    first = codec.receive(sent)
    assert len(first) == TURN // RECORD_COST
    assert codec.more
    assert first + b"".join(receive_rest(codec)) == b"x" * 1000


@pytest.mark.parametrize("version", VERSIONS)
def test_data_is_encrypted_in_both_directions(codec, version):
    client = MemoryTlsClient(
        codec, client_context(minimum_version=version, maximum_version=version)
    )
    assert client.handshake() == b""
    assert client.exchange(b"EHLO x\r\n") == b"EHLO x\r\n"
    codec.send(b"250 mx\r\n")
    assert client.receive() == b"250 mx\r\n"
    facts = codec.facts()
    assert facts.version == client.tls.version()
    assert facts.cipher == client.tls.cipher()[0]
    assert facts.sni == NAME


@pytest.mark.parametrize("size", [1, RECORD - 1, RECORD, RECORD + 1, 5 * RECORD])
def test_records_of_any_size_in_any_pieces(codec, size):
    client = MemoryTlsClient(codec)
    client.handshake()
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    client.tls.write(data)
    sent = client.outgoing.read()
    pieces = [codec.receive(sent[at : at + 1000]) for at in range(0, len(sent), 1000)]
    pieces += receive_rest(codec)
    assert b"".join(pieces) == data


def test_data_with_the_last_handshake_record_is_received(codec):
    client = MemoryTlsClient(codec)
    client.incoming.write(b"")
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.do_handshake()
    client.exchange()
    client.tls.do_handshake()
    assert client.exchange(b"EHLO early\r\n") == b"EHLO early\r\n"
    assert not codec.handshaking


def test_nothing_is_read_after_close_notify(codec):
    client = MemoryTlsClient(codec)
    client.handshake()
    client.tls.write(b"DATA\r\n")
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    assert codec.receive(client.outgoing.read() + b"NOOP\r\n") == b"DATA\r\n"
    assert codec.ended
    assert codec.receive(b"NOOP\r\n") == b""


def test_forged_record_ends_the_connection(codec):
    client = MemoryTlsClient(codec)
    client.handshake()
    client.tls.write(b"MAIL FROM:<a@b>\r\n")
    sent = bytearray(client.outgoing.read())
    sent[-1] ^= 1
    with pytest.raises(TlsFailedError, match=r"^DECRYPTION_FAILED_OR_BAD_RECORD_MAC$"):
        codec.receive(bytes(sent))


def receive_repeatedly(codec, data):
    """Pass the data until the codec decrypts it or raises."""
    while not codec.receive(data):
        pass


@pytest.mark.parametrize("data", [b"EHLO x\r\n", b"GET / HTTP/1.0\r\n\r\n", b"\x15\x03\x01", b"\0"])
def test_client_without_tls_gets_no_bytes(codec, data):
    with pytest.raises(TlsFailedError):
        receive_repeatedly(codec, data)
    assert codec.outgoing() == b""


def test_failed_handshake_is_answered_by_an_alert(codec):
    with pytest.raises(TlsFailedError):
        codec.receive(b"\x16\x03\x01\x00\x04\x01\x00\x00\x00")
    assert codec.outgoing()[:1] == b"\x15"


def test_close_sends_close_notify(codec):
    client = MemoryTlsClient(codec)
    client.handshake()
    codec.close()
    client.incoming.write(codec.outgoing())
    assert client.tls.read() == b""


def test_sni_is_empty_without_a_server_name(codec):
    client = MemoryTlsClient(codec, client_context(check_hostname=False), name=None)
    client.handshake()
    assert codec.facts().sni == ""


def test_facts_include_the_client_certificate(tmp_path):
    made = listener(tmp_path, write_authority(tmp_path))
    codec = TlsCodec(made.context())
    MemoryTlsClient(codec, client_context(issued("client.example"))).handshake()
    facts = codec.facts()
    assert facts.peer_subject.startswith("CN=client.example,OU=")
    assert len(bytes.fromhex(facts.peer_fingerprint)) == 32
    without = TlsCodec(made.context())
    MemoryTlsClient(without).handshake()
    assert (without.facts().peer_subject, without.facts().peer_fingerprint) == ("", "")


def test_client_certificate_of_another_authority_ends_the_handshake(tmp_path):
    made = listener(tmp_path, write_authority(tmp_path))
    stranger = other_authority().issue_cert("client.example")
    with pytest.raises(TlsFailedError, match=r"^CERTIFICATE_VERIFY_FAILED: unable to"):
        MemoryTlsClient(TlsCodec(made.context()), client_context(stranger)).handshake()
