"""Any octets, cut in any way: the filter's side never fails, and stays within its limits."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.wire import mta
from tests.wire.milter_invariants import assert_events_are_sound, assert_same_events

PACKETS = st.sampled_from(
    [
        *(mta.offer(), mta.offer(2, 0x3F, 0x7F), mta.connect(), mta.connect("::1", family="6")),
        *(mta.helo(), mta.mail(), mta.mail("<>", "SIZE=1"), mta.rcpt(), mta.DATA, mta.END),
        *(mta.field("Subject", " x"), mta.field("A", "x\n y"), mta.END_OF_FIELDS, mta.ABORT),
        *(mta.body(b"a\r"), mta.body(b"\nb"), mta.body(b"x" * 500), mta.QUIT, mta.REUSE),
        *(mta.macros("R", rcpt_mailer="error", rcpt_host="5.1.1"), mta.macros("C", v="Postfix")),
        *(mta.packet("U", b"x\0"), mta.packet("E", b"end\r\n"), mta.packet("D", b"")),
    ]
)
SESSIONS = st.lists(PACKETS | st.binary(max_size=20)).map(b"".join)
OCTETS = SESSIONS | st.binary(max_size=100).map(lambda octets: mta.OPEN + octets)


@given(OCTETS, st.lists(st.booleans(), max_size=40))
def test_any_octets_are_events_or_a_fault(octets, refusals):
    assert_events_are_sound(octets, refusals)


@given(OCTETS, st.lists(st.integers(0, 300), max_size=6))
def test_the_events_do_not_depend_on_the_cuts(octets, places):
    cuts = [0, *sorted(min(place, len(octets)) for place in places), len(octets)]
    assert_same_events(octets, [octets[a:b] for a, b in pairwise(cuts)])
