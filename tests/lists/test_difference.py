"""The difference of two texts: always correct, and small for small edits."""

import os
import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gatepost.lists.indexing import difference as module
from gatepost.lists.indexing.difference import Hunk, difference
from gatepost.lists.text import BLOCK, Text


def text_of(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return Text(os.open(path, os.O_RDONLY), 0, len(content))


def compare(folder, old, new):
    return difference(text_of(folder, "old", old), text_of(folder, "new", new))


def apply(old, hunks):
    pieces, at = [], 0
    for hunk in hunks:
        pieces += [old[at : hunk.start], hunk.added]
        at = hunk.end
    return b"".join([*pieces, old[at:]])


def long_text(lines, width=20):
    return b"".join(b"%0*d\n" % (width, number) for number in range(lines))


def test_equal_texts_have_no_hunks(tmp_path):
    assert compare(tmp_path, b"a\nb\n", b"a\nb\n") == []
    assert compare(tmp_path, b"", b"") == []


def test_an_added_line_is_one_hunk(tmp_path):
    assert compare(tmp_path, b"a\nb\nc\nd\n", b"a\nx\nb\nc\nd\n") == [Hunk(2, 2, b"x\n")]


def test_a_last_line_without_line_end_is_replaced(tmp_path):
    assert compare(tmp_path, b"a\nb", b"a\nb\nc\n") == [Hunk(2, 3, b"b\nc\n")]
    assert compare(tmp_path, b"a\nb\nc\n", b"a\nb") == [Hunk(2, 6, b"b")]


def test_distant_edits_are_separate_hunks(tmp_path):
    old = long_text(3 * BLOCK // 20)
    at, end = 21 * 1000, len(old) - 21 * 500
    new = old[:at] + b"one\n" + old[at:end] + b"two\n" + old[end + 21 :] + b"three\n"
    assert compare(tmp_path, old, new) == [
        Hunk(at, at, b"one\n"),
        Hunk(end, end + 21, b"two\n"),
        Hunk(len(old), len(old), b"three\n"),
    ]


def test_an_edit_larger_than_the_first_window_is_one_hunk(tmp_path):
    old = long_text(10000)
    added = b"".join(b"new %d\n" % number for number in range(5000))
    assert compare(tmp_path, old, old[:21] + added + old[21:]) == [Hunk(21, 21, added)]
    assert compare(tmp_path, old, old[:21] + old[21 * 3000 :]) == [Hunk(21, 21 * 3000, b"")]


def test_lines_longer_than_a_block_are_compared(tmp_path):
    old = b"x" * (BLOCK + 5) + b"\nb\n"
    assert compare(tmp_path, old, old + b"c\n") == [Hunk(len(old), len(old), b"c\n")]
    assert compare(tmp_path, old, b"y" + old) is None


def test_one_edit_beyond_the_limit_gives_none(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_CHANGED", 100)
    monkeypatch.setattr(module, "_WINDOWS", (50, 100))
    old = long_text(100)
    assert compare(tmp_path, old, long_text(100, 22)) is None
    assert compare(tmp_path, old, old[21 * 50 :]) is None


def test_many_edits_beyond_the_limit_give_none(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_CHANGED", 100)
    old = long_text(1000)
    new = b"".join(
        line + b"%d\n" % number if number % 10 == 0 else line
        for number, line in enumerate(old.splitlines(keepends=True))
    )
    assert compare(tmp_path, old, new) is None


_texts = st.lists(st.sampled_from([b"a", b"b", b"", b"c d", b"#"]), max_size=30).map(b"\n".join)


@given(_texts, _texts)
def test_applied_hunks_give_the_new_text(tmp_path_factory, old, new):
    folder = tmp_path_factory.mktemp("texts")
    hunks = compare(folder, old, new)
    assert apply(old, hunks) == new
    assert all(first.end <= then.start for first, then in pairwise(hunks))


@given(st.integers(), st.integers(1, 20))
def test_random_edits_of_a_long_text_give_small_hunks(tmp_path_factory, seed, edits):
    choose = random.Random(seed)
    old = long_text(4000)
    lines = old.splitlines(keepends=True)
    for _ in range(edits):
        at = choose.randrange(len(lines))
        lines[at : at + choose.randrange(3)] = [b"new %d\n" % seed] * choose.randrange(3)
    new = b"".join(lines)
    hunks = compare(tmp_path_factory.mktemp("texts"), old, new)
    assert apply(old, hunks) == new
    assert sum(hunk.changed for hunk in hunks) < 2000 * edits
