"""Content as a client sends it: our own server receives it unchanged, or it is not sent."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.vectors import SMUGGLING
from tests.wire.driver import DATA, bytewise, play, whole

from gatepost.wire import events as e
from gatepost.wire.smtp import WireLimits
from gatepost.wire.smtp.sending.content_writer import ChunkWriter, DotWriter, ImpureError

PURE = st.lists(
    st.sampled_from([b"x", b".", b"..", b"\r\n", b"\r\n.\r\n", b"a b\r\n", b"\xff"])
).map(b"".join)
ANY = st.lists(st.sampled_from([b"x", b".", b"\r\n", b"\r", b"\n", b"\0", b"\r\n.\r\n"])).map(
    b"".join
)
CUTS = st.sets(st.integers(0, 60), max_size=8)


def cut(data, cuts):
    edges = [0, *sorted(at for at in cuts if at < len(data)), len(data)]
    return [data[a:b] for a, b in pairwise(edges)]


def written(writer, pieces):
    return b"".join([writer.write(piece) for piece in pieces]) + writer.end()


@given(PURE, CUTS)
def test_dot_stuffing_is_reversed_by_our_own_reader(data, cuts):
    sent = written(DotWriter(), cut(data, cuts))
    assert sent == written(DotWriter(), bytewise(data))
    for split in (whole, bytewise):
        played = play(DATA + sent, split, limits=WireLimits())
        received = b"".join(event.data for event in played.of(e.Content))
        assert received == data + (b"" if not data or data.endswith(b"\r\n") else b"\r\n")
        assert played.of(e.EndOfMessage) == [e.EndOfMessage()]
        assert played.events[-1] == e.EndOfMessage()


@given(PURE, CUTS)
def test_chunks_are_sent_unchanged(data, cuts):
    writer = ChunkWriter(len(data))
    assert written(writer, cut(data, cuts)) == data
    assert writer.done


@given(ANY, CUTS)
def test_impure_content_is_never_completed(data, cuts):
    rest = data.replace(b"\r\n", b"")
    for writer in (DotWriter(), ChunkWriter(len(data))):
        try:
            written(writer, cut(data, cuts))
        except ImpureError:
            assert set(rest) & set(b"\r\n\0")
        else:
            assert not set(rest) & set(b"\r\n\0")


@pytest.mark.parametrize("split", [whole, bytewise])
@pytest.mark.parametrize("sequence", SMUGGLING, ids=repr)
def test_smuggling_sequences_are_not_sent(sequence, split):
    content = b"Subject: a\r\n\r\nbody" + sequence + b"MAIL FROM:<evil@x>\r\n"
    for writer in (DotWriter(), ChunkWriter(len(content))):
        with pytest.raises(ImpureError):
            written(writer, split(content))


def test_a_chunk_of_another_size_is_an_error():
    with pytest.raises(ValueError, match="no more content than announced"):
        written(ChunkWriter(3), [b"ab", b"cd"])
    with pytest.raises(ValueError, match="expected 1 octets more"):
        written(ChunkWriter(3), [b"ab"])
