from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st
from tests.wire.driver import DATA, DEFERRED, DENIED, HELLO, RCPT, bytewise, play, usual
from tests.wire.invariants import SMALL, assert_all, assert_answered, assert_content_pure, settled

from gatepost.wire import events as e
from gatepost.wire.smtp import WireLimits
from gatepost.wire.smtp.content import is_pure

LINE_ENDS = st.sampled_from([b"\r\n"] * 8 + [b"\n", b"\r", b"\r\r\n", b"\0\r\n", b""])
COMMANDS = st.sampled_from(
    [
        b"EHLO c", b"HELO c", b"EHLO", b"MAIL FROM:<a@b>", b"mail from:<> size=9",
        b"MAIL FROM:<\xc3\xbc@b> SMTPUTF8", b"RCPT TO:<c@d>", b"RCPT TO:<Postmaster>",
        b'RCPT TO:<"a b"@[192.0.2.1]>', b"RCPT TO:<\xc3\xbc@d>", b"RCPT TO:<c@d> NOTIFY=NEVER",
        b"DATA", b"RSET", b"NOOP x", b"VRFY a", b"EXPN", b"HELP", b"QUIT", b"STARTTLS", b".",
        b"..", b"text", b"", b"BDAT x", b"x" * 120, b"\xff",
    ]
)  # fmt: skip
LINES = st.builds(lambda command, end: command + end, COMMANDS, LINE_ENDS)
CHUNKS = st.builds(
    lambda data, last, wrong: b"BDAT %d%s\r\n" % (len(data) + wrong, last) + data,
    st.lists(st.sampled_from([b"x", b"\r\n", b"\r", b"\n", b"QUIT\r\n", b"\r\n.\r\n"])).map(
        b"".join
    ),
    st.sampled_from([b"", b" LAST"]),
    st.sampled_from([0] * 8 + [1, 300]),
)
BODIES = st.lists(
    st.sampled_from(
        [b"x", b"hello world", b"\r\n", b".", b"\r\n.\r\n", b"\r\n..", b"\r", b"\n", b"\0"]
    )
).map(b"".join)
STARTS = st.sampled_from([b"", HELLO, RCPT, DATA])
DIALOGUES = st.builds(
    lambda start, parts: start + b"".join(parts),
    STARTS,
    st.lists(st.one_of(LINES, LINES, CHUNKS, BODIES), max_size=14),
)
# Refusals by policy; None accepts.
REFUSALS = st.lists(st.sampled_from([None] * 4 + [DEFERRED, DENIED, DENIED.closing()]), max_size=20)
BY_POLICY = (e.Ehlo, e.Mail, e.Rcpt, e.Data, e.Bdat, e.EndOfMessage, e.ChunkEnd)


def refusing(refusals):
    """Refuse by the event, not by its position, so that each split gets the same answers."""

    def answer(event):
        if refusals and isinstance(event, BY_POLICY):
            return refusals[len(repr(event)) % len(refusals)] or usual(event)
        return usual(event)

    return answer


@given(st.binary(max_size=300), REFUSALS)
@example(b"BDAT 99999999999999999999\r\n", [])
def test_any_bytes_keep_the_invariants(data, refusals):
    assert_all(data, refusing(refusals))


@given(STARTS, st.text(st.sampled_from("\r\n.\0x "), max_size=200).map(str.encode))
def test_any_line_endings_keep_the_invariants(start, data):
    played = assert_all(start + data)
    assert_answered(played, usual)


@given(DIALOGUES, REFUSALS)
def test_plausible_dialogues_keep_the_invariants(data, refusals):
    answer = refusing(refusals)
    played = assert_all(data, answer)
    if not any(reply and reply.close for reply in refusals):
        assert_answered(played, answer)


@given(DIALOGUES, st.data())
def test_any_split_gives_the_same_events(data, draw):
    cuts = sorted(draw.draw(st.sets(st.integers(0, len(data)), max_size=20)))
    edges = [0, *cuts, len(data)]

    def split(whole):
        return [whole[a:b] for a, b in pairwise(edges)]

    cut, bytes_ = play(data, split, limits=SMALL), play(data, bytewise, limits=SMALL)
    assert settled(cut.events) == settled(bytes_.events)
    assert (cut.output, cut.state) == (bytes_.output, bytes_.state)


@given(DIALOGUES, st.binary(max_size=8), st.integers(0, 400), st.integers(0, 8))
def test_mutated_dialogues_keep_the_invariants(data, noise, at, dropped):
    assert_all(data[:at] + noise + data[at + dropped :])


@given(st.lists(st.sampled_from([b"x", b".", b"..", b"\r\n", b"a b\r\n", b"\xff"])).map(b"".join))
def test_stuffed_content_is_received_unchanged(text):
    """RFC 5321 section 4.5.2, for text of whole lines."""
    message = text if text.endswith(b"\r\n") or not text else text + b"\r\n"
    stuffed = (b"." if message.startswith(b".") else b"") + message.replace(b"\r\n.", b"\r\n..")
    played = play(DATA + stuffed + b".\r\n", bytewise, limits=WireLimits())
    assert b"".join(event.data for event in played.of(e.Content)) == message
    assert played.of(e.EndOfMessage) == [e.EndOfMessage()]


@given(st.lists(st.sampled_from([b"x", b"\r", b"\n", b"\r\n", b"\0", b"\x85"]), max_size=12))
def test_is_pure_matches_its_definition(parts):
    data = b"".join(parts)
    rest = data.replace(b"\r\n", b"")
    assert is_pure(data) == (not set(rest) & set(b"\r\n\0"))


def test_the_invariant_detects_an_impure_message():
    events = [e.Data(), e.Content(b"a\r"), e.Content(b"b"), e.EndOfMessage()]
    try:
        assert_content_pure(events)
    except AssertionError:
        return
    raise AssertionError("a bare CR was not detected")
