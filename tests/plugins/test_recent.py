"""Values that a worker has read a moment ago."""

from gatepost.plugins._recent import Recent


def test_a_value_is_there_until_it_is_too_old():
    recent = Recent(5.0)
    recent.put("a", 0, 100.0)
    assert recent.get("a", 104.9) == 0
    assert recent.get("a", 105.0) is None
    assert recent.get("b", 100.0) is None


def test_a_clock_that_goes_back_makes_a_value_too_old():
    recent = Recent(5.0)
    recent.put("a", 1, 100.0)
    assert recent.get("a", 99.0) is None


def test_the_oldest_of_too_many_values_is_dropped():
    recent = Recent(5.0, most=2)
    for key in ("a", "b", "a", "c"):
        recent.put(key, key, 0.0)
    assert [recent.get(key, 0.0) for key in "abc"] == ["a", None, "c"]
    recent.clear()
    assert recent.get("c", 0.0) is None
