"""The pieces of a list's text: together they are the text, and runs are parsed as lines are."""

from array import array

from hypothesis import given
from hypothesis import strategies as st

from gatepost.lists.entry import MAX_LINE, EntryKind, ListEntry, parse_octets, parse_or_error
from gatepost.lists.indexing.pieces import Line, Run, count_lines, pieces
from gatepost.lists.text import BLOCK, Text

CHARACTERS = 'ab.-_@ \t\r+#/\\\x00\x7f"[]éA\n\n'
WORDS = ["a@b", "a@b\n", "x.y@c-d.e note\n", "b" * 63]
PARTS = st.sampled_from([*CHARACTERS, *WORDS])
TEXTS = st.lists(PARTS, max_size=40).map("".join)


def text_of(folder, content):
    path = folder / "text"
    path.write_bytes(content)
    with path.open("rb") as file:
        return Text.of_file(file.fileno(), len(content))


def parsed(raw):
    return parse_or_error(parse_octets, raw, "", 0)


@given(TEXTS)
def test_a_run_has_the_keys_that_its_lines_have(tmp_path_factory, text):
    content = text.encode()
    at = 0
    for piece in pieces(text_of(tmp_path_factory.getbasetemp(), content)):
        assert piece.offset == at
        if isinstance(piece, Line):
            assert content[at : at + len(piece.raw)] == piece.raw
            at += len(piece.raw)
            continue
        for key, length in zip(piece.keys, piece.lengths, strict=True):
            item = parsed(content[at : at + length])
            assert isinstance(item, ListEntry)
            assert (item.kind, item.key) == (EntryKind.ADDRESS, key.decode())
            at += length
    assert at == len(content)


def test_plain_lines_of_several_blocks_are_in_runs(tmp_path):
    line = b"someone@example.com\n"
    count = 2 * BLOCK // len(line)
    found = list(pieces(text_of(tmp_path, line * count)))
    assert {type(piece) for piece in found} == {Run}
    assert sum(len(piece.keys) for piece in found) == count


def test_only_the_beginning_of_a_long_line_is_returned(tmp_path):
    content = b"a@b\n" + b"x" * (2 * BLOCK) + b"\nc@d\n" + b"y" * (2 * MAX_LINE)
    one, long, other, last = pieces(text_of(tmp_path, content))
    assert (one.keys, other.keys) == ([b"a@b"], [b"c@d"])
    assert [len(piece.raw) for piece in (long, last)] == [MAX_LINE + 1] * 2
    assert (long.offset, other.offset) == (4, 4 + 2 * BLOCK + 1)


@given(st.binary(max_size=200))
def test_line_ends_are_counted_before_each_mark(tmp_path_factory, content):
    text = text_of(tmp_path_factory.getbasetemp(), content)
    marks = range(0, len(content) + 1, 16)
    assert count_lines(text, 16) == array("I", [content.count(b"\n", 0, mark) for mark in marks])
