"""The export: complete lines to a file or a socket, without waiting, with counted drops."""

import json
import os
import socket

import pytest
from tests.ledger.made import connection, transaction

from gatepost.ledger import export
from gatepost.ledger.export import Export
from gatepost.ledger.records import VERSION


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(clock):
    made = []

    def make(target):
        made.append(Export(target, clock))
        return made[-1]

    yield make
    for one in made:
        one.close()


def refs(octets):
    return [json.loads(line)["ref"] for line in octets.splitlines()]


def events(caplog):
    """Return the events of the ledger; a thread of an earlier test may log others."""
    own = [one.getMessage() for one in caplog.records if one.name == "gatepost.ledger"]
    return [one.partition(" target=")[0] for one in own]


def test_each_record_is_a_line_of_json(tmp_path, make):
    path = tmp_path / "log.jsonl"
    make(f"jsonl:{path}").send([transaction(1, subject='\u2028 "x"\n'), connection(2)])
    first, second = map(json.loads, path.read_text().split("\n")[:-1])
    assert (first["version"], first["kind"], first["subject"]) == (
        VERSION,
        "transaction",
        '\u2028 "x"\n',
    )
    assert second["ref"] == "s2"
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_is_appended_to_and_opened_again_after_a_rotation(tmp_path, make):
    path, old = tmp_path / "log.jsonl", tmp_path / "log.jsonl.1"
    path.write_text('{"ref":"before"}\n')
    sent = make(f"jsonl:{path}")
    sent.send([transaction(1)])
    path.rename(old)
    sent.send([transaction(2)])
    assert refs(old.read_bytes()) == ["before", "s1.1"]
    assert refs(path.read_bytes()) == ["s2.1"]


def test_a_file_is_opened_again_on_request(tmp_path, make):
    path = tmp_path / "log.jsonl"
    sent = make(f"jsonl:{path}")
    sent.send([transaction(1)])
    sent.reopen()
    sent.send([transaction(2)])
    assert refs(path.read_bytes()) == ["s1.1", "s2.1"]


def test_lines_wait_for_a_folder_that_does_not_exist_yet(tmp_path, make, clock):
    path = tmp_path / "new" / "log.jsonl"
    sent = make(f"jsonl:{path}")
    sent.send([transaction(1)])
    path.parent.mkdir()
    sent.send([transaction(2)])
    assert not path.exists()  # an attempt at most once in a second
    clock.now += 1
    sent.flush()
    assert (refs(path.read_bytes()), sent.dropped) == (["s1.1", "s2.1"], 0)


def test_a_full_disk_keeps_whole_lines(make_disk, make, clock):
    small = make_disk(16)
    path = small.root / "log.jsonl"
    sent = make(f"jsonl:{path}")
    sent.send([transaction(0)])
    with small.full():
        sent.send([transaction(number, subject="x" * 500) for number in range(1, 200)])
    clock.now += 1
    sent.flush()
    assert refs(path.read_bytes()) == [f"s{number}.1" for number in range(200)]


@pytest.fixture(params=[socket.SOCK_STREAM, socket.SOCK_DGRAM])
def kind(request):
    return request.param


def listening(path, kind):
    one = socket.socket(socket.AF_UNIX, kind)
    one.bind(str(path))
    if kind == socket.SOCK_STREAM:
        one.listen(5)
    return one


def test_lines_go_to_a_stream_or_datagram_socket(tmp_path, make, kind):
    with listening(tmp_path / "s", kind) as server:
        make(f"unix:{tmp_path}/s").send([transaction(1)])
        if kind == socket.SOCK_STREAM:
            with server.accept()[0] as peer:
                received = peer.recv(65536)
        else:
            received = server.recv(65536)
    assert refs(received) == ["s1.1"]
    assert received.endswith(b"\n")


def test_a_slow_reader_gets_whole_lines_and_drops_are_counted(tmp_path, make, monkeypatch, caplog):
    monkeypatch.setattr(export, "MAX_WAITING", 20_000)
    with listening(tmp_path / "s", socket.SOCK_STREAM) as server:
        sent = make(f"unix:{tmp_path}/s")
        for number in range(3000):
            sent.send([transaction(number, subject="x" * 300)])
        assert sent.dropped > 0
        assert events(caplog) == ["ledger export stopped"]
        received = drained(server, sent)
    found = refs(received)
    assert len(found) + sent.dropped == 3000
    assert found == sorted(found, key=lambda ref: float(ref[1:]))
    assert events(caplog) == ["ledger export stopped", "ledger export resumed"]


def drained(server, sent):
    """Everything that the export still sends, read until nothing is left."""
    received = b""
    with server.accept()[0] as peer:
        peer.setblocking(False)
        while True:
            try:
                received += peer.recv(65536)
            except BlockingIOError:
                before = sent._octets
                sent.flush()
                if sent._octets == before:
                    return received


def test_a_reader_that_was_restarted_gets_lines_again(tmp_path, make, clock):
    path = tmp_path / "s"
    sent = make(f"unix:{path}")
    with listening(path, socket.SOCK_STREAM) as server:
        sent.send([transaction(1)])
        server.accept()[0].close()
    path.unlink()
    sent.send([transaction(2)])
    with listening(path, socket.SOCK_STREAM) as server:
        clock.now += 1
        sent.send([transaction(3)])
        with server.accept()[0] as peer:
            assert refs(peer.recv(65536)) == ["s2.1", "s3.1"]


def test_a_datagram_that_is_too_long_is_dropped_and_the_next_is_sent(tmp_path, make):
    with listening(tmp_path / "s", socket.SOCK_DGRAM) as server:
        sent = make(f"unix:{tmp_path}/s")
        sent.send([transaction(1, subject="x" * 2_000_000), transaction(2)])
        sent.flush()
        assert (refs(server.recv(65536)), sent.dropped) == (["s2.1"], 1)


def test_a_fifo_without_a_reader_does_not_wait(tmp_path, make):
    os.mkfifo(tmp_path / "fifo")
    sent = make(f"jsonl:{tmp_path}/fifo")
    sent.send([transaction(1)])
    assert sent.dropped == 0


@pytest.mark.parametrize("target", ["", "jsonl:", "tcp:127.0.0.1:1", "/var/log/x"])
def test_another_target_is_an_error(target):
    with pytest.raises(ValueError, match="expected jsonl:PATH or unix:PATH"):
        Export(target)
