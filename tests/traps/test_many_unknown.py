import pytest

from gatepost.traps.many_unknown import ManyUnknown

RULE = ManyUnknown()


@pytest.mark.parametrize(("unknown", "asked"), [(10, 10), (10, 12), (100, 100), (80, 100)])
def test_ten_unknown_that_are_four_fifths_are_a_hit(unknown, asked):
    assert RULE.is_hit(unknown, asked)


@pytest.mark.parametrize(("unknown", "asked"), [(9, 9), (10, 13), (79, 100), (0, 0), (0, 300)])
def test_fewer_or_a_smaller_share_is_no_hit(unknown, asked):
    assert not RULE.is_hit(unknown, asked)


def test_a_post_to_a_list_with_dead_subscribers_is_no_hit():
    assert not RULE.is_hit(40, 300)


def test_a_call_out_is_no_hit():
    assert not RULE.is_hit(1, 1)


def test_both_limits_are_configurable():
    rule = ManyUnknown(minimum=3, share=0.5)
    assert rule.is_hit(3, 6)
    assert not rule.is_hit(3, 7)
    assert not rule.is_hit(2, 2)


@pytest.mark.parametrize("limits", [{"minimum": 0}, {"share": 1.1}, {"share": -0.1}])
def test_limits_out_of_range_are_refused(limits):
    with pytest.raises(ValueError, match="expected"):
        ManyUnknown(**limits)
