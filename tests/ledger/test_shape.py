"""Shapes and extracts: records that are counted together, and the fields that are decoded."""

from typing import get_args

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.ledger.made import START, connection, refusal, transaction
from tests.ledger.mail_records import ANY_RECORD

from gatepost.ledger import extract as extracts
from gatepost.ledger import records as r
from gatepost.ledger import shape as shapes
from gatepost.ledger.extract import Extract, converted, extract_of
from gatepost.ledger.kept import MAX_RECORD, kept_of
from gatepost.ledger.matching import letter_of
from gatepost.ledger.shape import Shape, Shapes, shape_key
from gatepost.ledger.tally import Tally
from gatepost.metrics.counting import Counting

PARTS = {
    extracts.AnswerExtract: r.Answer,
    extracts.TrapExtract: r.Trap,
    extracts.RecipientExtract: r.RecipientRecord,
    extracts.ClientExtract: r.Client,
    extracts.ResultExtract: r.PluginResult,
}
KINDS = {kind.__struct_config__.tag: kind for kind in get_args(r.Record)}
WHOLE = PARTS | {one: KINDS[one.__struct_config__.tag] for one in get_args(Extract)}
# Fields whose type is an extract itself.
NESTED = {"client", "answers", "recipients", "traps", "results", "facts"}


@pytest.mark.parametrize("part", WHOLE, ids=lambda one: one.__name__)
def test_an_extract_has_fields_of_the_record_with_their_defaults(part):
    whole = {one.name: one for one in msgspec.structs.fields(WHOLE[part])}
    for one in msgspec.structs.fields(part):
        field = whole[one.name]
        assert one.required == field.required
        if one.name not in NESTED:
            assert (one.type, one.default) == (field.type, field.default)


@given(ANY_RECORD)
def test_an_extract_has_the_values_of_the_record(record):
    found, expected = extract_of(r.encode(record)), converted(record)
    assert repr(msgspec.to_builtins(found)) == repr(msgspec.to_builtins(expected))
    assert letter_of(found) == letter_of(record)


@given(st.binary())
def test_octets_that_are_no_record_are_left_out(octets):
    good = r.encode(connection(1))
    kept = kept_of([good, octets, good])
    assert kept.bodies == [good, good]
    assert len(kept.extracts) == len(kept.shapes) == 2
    assert kept.problem


@pytest.mark.parametrize("field", [{"time": float("inf")}, {"problem": "x" * MAX_RECORD}])
def test_records_without_a_time_or_too_large_are_left_out(field):
    kept = kept_of([r.encode(one) for one in (connection(1), connection(2, **field))])
    assert len(kept.bodies) == 1
    assert kept.problem.startswith("expected ")


@st.composite
def similar(draw):
    """Records of which some differ in one field, or in one field of an entry of a list."""
    records = draw(st.lists(ANY_RECORD, min_size=1, max_size=4))
    for one in draw(st.lists(st.sampled_from(records), max_size=6)):
        other = draw(st.sampled_from([other for other in records if type(other) is type(one)]))
        name = draw(st.sampled_from(one.__struct_fields__))
        records.append(msgspec.structs.replace(one, **{name: getattr(other, name)}))
    return records


TRAP = r.Trap("user1@example.com", "user1@example.com", "traps", 3)
TRAPPED = {"result": "refused", "by": "gatepost", "reason": "trap", "traps": [TRAP]}


@given(similar())
@example([connection(1), connection(2, end="lost"), connection(3, reply="421 later")])
@example([transaction(1, **TRAPPED), transaction(2, **TRAPPED | {"reason": "other"})])
@example([transaction(1, **TRAPPED), transaction(1, **TRAPPED, recipients_count=1)])
@example([transaction(1, answers=[refusal("a")]), transaction(1, answers=[refusal("b")])])
@example([transaction(1, time=START), transaction(1, time=START + 3600)])
def test_counting_by_shape_equals_counting_each_record(records):
    kept = kept_of([r.encode(one) for one in records])
    together, alone = (Tally(), Counting()), (Tally(), Counting())
    together[0].add(kept.extracts, kept.shapes)
    together[1].count(kept.extracts, kept.shapes)
    for one in kept.extracts:
        alone[0].add([one], [Shape(one)])
        alone[1].count([one], [Shape(one)])
    assert counts(together[0]) == pytest.approx(counts(alone[0]))
    assert figures(together[1]) == pytest.approx(figures(alone[1]))


def counts(tally):
    return {(cell, key): number for cell, found in tally.cells() for key, number in found.items()}


def figures(counting):
    return {
        (family.name, *labels): value if isinstance(value, int | float) else value.total
        for family in counting.families()
        if family.metric.kind != "gauge"
        for labels, value in family.series
    }


def test_records_that_differ_in_numbers_and_addresses_share_a_shape():
    one, other = Shapes().of(
        kept_of([r.encode(transaction(1)), r.encode(transaction(2, size=7))]).extracts
    )
    assert one is other


def test_a_record_with_long_lists_has_a_shape_of_its_own():
    recipients = [r.RecipientRecord("a@example.com")] * (shapes.LONG + 1)
    long = extract_of(r.encode(transaction(1, recipients=recipients)))
    assert shape_key(long) is None
    one, other = Shapes().of([long, long])
    assert one is not other


def test_the_number_of_shapes_that_are_remembered_is_limited():
    remembered = Shapes()
    for number in range(shapes.MOST * 2):
        remembered.of([extract_of(r.encode(connection(1, end=str(number))))])
    assert len(remembered) <= shapes.MOST
