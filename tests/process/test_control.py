"""Messages between the supervisor and a worker."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.process.control import MAX_DETAIL, Channel, ControlMessage, Report

messages = st.lists(
    st.builds(Report, st.sampled_from(ControlMessage), st.text(max_size=20)), max_size=5
)


@pytest.fixture
def ends():
    here, there = socket.socketpair()
    with here, there:
        yield Channel(here), Channel(there), there


@given(said=messages, cut=st.integers(0, 500))
def test_messages_arrive_whole_however_they_are_cut(said, cut):
    made, caught = socket.socketpair()
    here, there = socket.socketpair()
    with made, caught, here, there:
        writer, reader = Channel(made), Channel(there)
        for one in said:
            writer.say(*one)
        octets = b"" if not said else caught.recv(65536)
        heard = []
        for piece in (octets[:cut], octets[cut:]):
            here.sendall(piece)
            heard += reader.hear()
        assert heard == said
        assert not reader.ended


def test_a_long_detail_is_cut(ends):
    here, there, _ = ends
    here.say(ControlMessage.FAILED, "x" * (MAX_DETAIL + 1))
    assert there.hear() == [Report(ControlMessage.FAILED, "x" * MAX_DETAIL)]


def test_the_other_end_is_gone(ends):
    here, there, _ = ends
    here.say(ControlMessage.READY)
    here.close()
    assert there.hear() == [Report(ControlMessage.READY, "")]
    assert there.ended
    there.say(ControlMessage.PING)
    assert there.hear() == []


def test_nobody_waits_for_who_does_not_listen(ends):
    here, there, _ = ends
    for _ in range(10_000):
        here.say(ControlMessage.PING, "x" * 1000)
    assert set(there.hear()) == {Report(ControlMessage.PING, "x" * 1000)}
