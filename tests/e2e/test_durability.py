"""No message accepted with 250 is lost, in any way the server ends."""

import contextlib
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.e2e.raw import Raw, codes, envelope, stuffed
from tests.e2e.server import eventually
from tests.e2e.streams import BOXES, MOST, SENDERS, Killer, Stream, content

CONTENT = b"Subject: sample\r\n\r\nfirst half\r\nsecond half\r\n"


@pytest.mark.parametrize("after", [1, 2, 50, 51, 150])
def test_a_kill_loses_no_accepted_message(own_server, after):
    killer = Killer(own_server, after)
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(SENDERS) as pool:
        clients = [stack.enter_context(Raw(own_server.port)) for _ in range(SENDERS)]
        streams = [Stream(client, number, killer) for number, client in enumerate(clients)]
        for done in [pool.submit(stream.run) for stream in streams]:
            done.result()
    assert own_server.process.returncode == -signal.SIGKILL
    accepted = sorted(token for stream in streams for token in stream.accepted)
    assert after <= len(accepted) < SENDERS * MOST
    for box in BOXES:
        arrived = [mail.content for mail in own_server.mails(box)]
        assert len(set(arrived)) == len(arrived)
        assert {content(token) for token in accepted} <= set(arrived)
        # A message without a reply may have arrived completely, one on each connection.
        assert len(arrived) <= len(accepted) + SENDERS
    own_server.start()
    with Raw(own_server.port) as client:
        assert codes(client.exchange(*envelope(*BOXES), "DATA")) == ["250"] * 3 + ["354"]
        client.send(stuffed(CONTENT))
        assert client.reply()[:3] == "250"
    assert all(CONTENT in [mail.content for mail in own_server.mails(box)] for box in BOXES)


def refuses_connections(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except ConnectionError:
        return True
    return False


def send_half(client, box, chunked):
    """Send a transaction up to the middle of its content; return the rest."""
    commands = envelope(box) if chunked else [*envelope(box), "DATA"]
    assert codes(client.exchange(*commands)) == ["250", "250", "354"][: len(commands)]
    octets = b"BDAT %d LAST\r\n%s" % (len(CONTENT), CONTENT) if chunked else stuffed(CONTENT)
    client.send(octets[:40])
    return octets[40:]


@pytest.mark.parametrize("chunked", [False, True], ids=["data", "chunks"])
def test_an_open_message_completes_before_the_server_ends(own_server, chunked):
    box = own_server.address()
    with Raw(own_server.port) as client, Raw(own_server.port) as idle:
        rest = send_half(client, box, chunked)
        own_server.terminate()
        assert idle.rest() == ["421 4.3.2 Server is shutting down, try again later"]
        eventually(lambda: refuses_connections(own_server.port))
        assert not own_server.has_ended()
        client.send(rest)
        assert codes(client.rest()) == ["250", "421"]
    assert own_server.wait() == 0
    assert [mail.content for mail in own_server.mails(box)] == [CONTENT]


def test_an_open_transaction_completes_before_the_server_ends(own_server):
    box = own_server.address()
    with Raw(own_server.port) as client, Raw(own_server.port) as idle:
        assert codes(client.exchange(*envelope(box))) == ["250", "250"]
        own_server.terminate()
        assert codes(idle.rest()) == ["421"]
        assert codes(client.exchange("DATA")) == ["354"]
        client.send(stuffed(CONTENT))
        assert codes(client.rest()) == ["250", "421"]
    assert own_server.wait() == 0
    assert [mail.content for mail in own_server.mails(box)] == [CONTENT]


@pytest.mark.parametrize("chunked", [False, True], ids=["data", "chunks"])
def test_an_incomplete_message_is_not_delivered(own_server, chunked):
    box = own_server.address()
    with Raw(own_server.port) as client:
        send_half(client, box, chunked)
    with Raw(own_server.port) as client:
        assert codes(client.exchange("QUIT")) == ["221"]
    own_server.stop()
    assert own_server.delivered() == []


def test_idle_sessions_receive_421_when_the_server_ends(own_server):
    clients = [Raw(own_server.port) for _ in range(10)]
    own_server.terminate()
    for client in clients:
        with client:
            assert codes(client.rest()) == ["421"]
    assert own_server.wait() == 0
