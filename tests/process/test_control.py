"""Messages between the supervisor and a worker."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.process.control import MAX_DETAIL, Channel, ControlMessage, ControlThread, MessageKind

messages = st.lists(
    st.builds(ControlMessage, st.sampled_from(MessageKind), st.text(max_size=20)), max_size=5
)


@pytest.fixture
def ends():
    near, far = socket.socketpair()
    with near, far:
        yield Channel(near), Channel(far)


@given(sent=messages, cut=st.integers(0, 500))
def test_messages_arrive_whole_in_any_split(sent, cut):
    source, capture = socket.socketpair()
    near, far = socket.socketpair()
    with source, capture, near, far:
        writer, reader = Channel(source), Channel(far)
        for one in sent:
            writer.send(*one)
        octets = capture.recv(65536) if sent else b""
        received = []
        for piece in (octets[:cut], octets[cut:]):
            near.sendall(piece)
            received += reader.receive()
        assert received == sent
        assert not reader.ended


def test_a_long_detail_is_cut(ends):
    near, far = ends
    near.send(MessageKind.FAILED, "x" * (MAX_DETAIL + 1))
    assert far.receive() == [ControlMessage(MessageKind.FAILED, "x" * MAX_DETAIL)]


def test_a_closed_channel_has_ended_and_ignores_sends(ends):
    near, far = ends
    near.send(MessageKind.READY)
    near.close()
    assert far.receive() == [ControlMessage(MessageKind.READY, "")]
    assert far.ended
    far.send(MessageKind.PING)
    assert far.receive() == []


def test_a_full_channel_does_not_block_the_sender(ends):
    near, far = ends
    for _ in range(10_000):
        near.send(MessageKind.PING, "x" * 1000)
    assert set(far.receive()) == {ControlMessage(MessageKind.PING, "x" * 1000)}


def test_the_thread_answers_pings_with_the_progress(ends):
    near, far = ends
    progress = iter((7, 8))
    thread = ControlThread(far, lambda: next(progress), handle=pytest.fail)
    near.send(MessageKind.PING)
    near.send(MessageKind.PING)
    thread.process_messages()
    assert near.receive() == [
        ControlMessage(MessageKind.PONG, "7"),
        ControlMessage(MessageKind.PONG, "8"),
    ]


def test_the_thread_passes_on_other_messages_and_stops_when_the_channel_ends(ends):
    near, far = ends
    handled = []
    thread = ControlThread(far, lambda: 0, handled.append)
    near.send(MessageKind.RETIRE)
    thread.process_messages()
    assert handled == [MessageKind.RETIRE]
    near.close()
    thread.process_messages()
    assert handled == [MessageKind.RETIRE, MessageKind.STOP]
