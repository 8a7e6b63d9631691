"""The cache of answers: ends, the least recently used, octets."""

from hypothesis import given
from hypothesis import strategies as st

from gatepost.net.answer_cache import ENTRY, SHARE, AnswerCache, size_of
from gatepost.net.questions import ABSENT, Answer


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def text(*records):
    return Answer("found", list(records))


def key(number):
    return "TXT", f"name{number:04}.example"


ONE = size_of(key(0), ABSENT)


def test_an_answer_is_kept_until_its_end():
    clock = Clock()
    cache = AnswerCache(100 * ONE, clock)
    cache.put(key(1), text("x"), 60)
    clock.now += 59.9
    assert cache.get(key(1)) == text("x")
    clock.now += 0.1
    assert cache.get(key(1)) is None
    assert cache.get(key(2)) is None


def test_the_answer_not_used_for_longest_is_dropped():
    cache = AnswerCache(16 * ONE, Clock())
    for number in range(16):
        cache.put(key(number), ABSENT, 60)
    assert cache.get(key(0)) is ABSENT
    assert (len(cache), cache.octets, cache.evictions) == (16, 16 * ONE, 0)
    cache.put(key(16), ABSENT, 60)
    assert cache.get(key(1)) is None
    assert cache.get(key(0)) is cache.get(key(16)) is ABSENT
    assert (len(cache), cache.octets, cache.evictions) == (16, 16 * ONE, 1)


def test_an_answer_that_has_ended_is_no_eviction():
    clock = Clock()
    cache = AnswerCache(16 * ONE, clock)
    for number in range(16):
        cache.put(key(number), ABSENT, 60)
    clock.now += 60
    cache.put(key(16), ABSENT, 60)
    assert (len(cache), cache.evictions) == (16, 0)


def test_a_new_answer_replaces_the_old_one():
    cache = AnswerCache(100 * ONE, Clock())
    cache.put(key(1), text("x" * 500), 60)
    cache.put(key(1), ABSENT, 60)
    assert (cache.get(key(1)), len(cache), cache.octets) == (ABSENT, 1, ONE)


def test_a_huge_answer_is_not_kept_and_drops_no_other():
    cache = AnswerCache(100 * ONE, Clock())
    cache.put(key(1), ABSENT, 60)
    cache.put(key(2), text("x" * int(100 * ONE * SHARE)), 60)
    assert (cache.get(key(1)), cache.get(key(2))) == (ABSENT, None)
    cache.put(key(1), text("x" * int(100 * ONE * SHARE)), 60)
    assert (cache.get(key(1)), len(cache), cache.octets) == (None, 0, 0)


ANSWERS = st.one_of(
    st.just(ABSENT),
    st.builds(Answer, st.just("failed"), st.just(()), st.text()),
    st.builds(Answer, st.just("found"), st.lists(st.text(), min_size=1)),
    st.builds(
        Answer, st.just("found"), st.lists(st.tuples(st.integers(0, 65535), st.text()), min_size=1)
    ),
)


@given(st.lists(st.tuples(st.integers(0, 30), ANSWERS, st.floats(1, 100))))
def test_the_cache_never_exceeds_its_limits(puts):
    clock, octets = Clock(), 20 * ONE
    cache = AnswerCache(octets, clock)
    for number, answer, seconds in puts:
        cache.put(key(number), answer, seconds)
        clock.now += 7
        kept = [cache._entries[one][1] for one in cache._entries]
        assert cache.octets == sum(map(size_of, cache._entries, kept)) <= octets
        assert len(cache) <= octets / ENTRY
