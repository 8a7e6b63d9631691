"""No record can break a terminal or a line of JSON, whatever its texts are."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from tests.ledger.mail_records import ANY_RECORD, TEXTS, ZONE

from gatepost.ledger.records import decode, encode, to_dict
from gatepost.ledger.words.explain import explain
from gatepost.ledger.words.fitting import cut, padded, plain, wrapped
from gatepost.ledger.words.plain_json import json_line, json_text
from gatepost.ledger.words.story import stories


@given(ANY_RECORD)
def test_json_of_a_record_is_one_printable_line_with_the_same_texts(record):
    line = json_line(record)
    assert line.isprintable()
    assert json.loads(line)["kind"] == to_dict(record)["kind"]
    assert json.loads(json_text([to_dict(record)])) == [
        {name: value for name, value in json.loads(line).items() if name != "version"}
    ]


def test_json_has_every_character():
    record = decode(encode({"kind": "notice", "time": 1.0, "name": "\x1b\x7f\u202e\u2028é"}))
    assert json_line(record) == (
        r'{"version": 1, "kind": "notice", "time": 1.0, "name": "\u001b\u007f\u202e\u2028\u00e9"}'
    )


@settings(deadline=None)
@given(st.lists(ANY_RECORD, max_size=4), st.sampled_from([1, 40, 80, 100]))
def test_any_story_has_printable_lines_that_fit(records, width):
    for story in stories(records):
        for line in explain(story, width, ZONE):
            assert plain(line).isprintable()
            assert cell_len(plain(line)) <= max(width, 32)


@given(TEXTS, st.integers(2, 100))
def test_texts_are_cut_padded_and_wrapped_to_a_width(text, width):
    assert cell_len(cut(text, width)) <= width
    assert cell_len(padded(text, width)) == width
    assert all(cell_len(line) <= width for line in wrapped(text, width))
