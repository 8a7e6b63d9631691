"""Results of plugins: typed, bounded, in order."""

import pytest

from gatepost.model.results import MOST, Results


def test_the_last_result_of_a_name_counts():
    results = Results()
    results.add("dkim", "pass", domain="a.example")
    results.add("dkim", "fail", domain="b.example", score=1.5)
    assert results.value("dkim") == "fail"
    assert results["dkim"].facts == {"domain": "b.example", "score": 1.5}
    assert [one.value for one in results.all("dkim")] == ["pass", "fail"]
    assert [one.name for one in results] == ["dkim", "dkim"]
    assert len(results) == 2


def test_an_absent_result_is_none():
    results = Results()
    assert results.value("spf") is None
    assert results.get("spf") is None
    assert "spf" not in results
    with pytest.raises(KeyError, match="spf"):
        results["spf"]


def test_the_score_is_the_sum_of_all_points():
    results = Results()
    results.add("dnsbl", "listed", score=2)
    results.add("list", "known", score=-0.5)
    results.add("spf", "pass")
    assert results.score == 1.5
    assert "dnsbl" in results


@pytest.mark.parametrize("name", ["", "SPF", "s p", "x" * 65, "1x", "spf\r\n"])
def test_a_wrong_name_is_refused(name):
    with pytest.raises(ValueError, match="expected the name of a result"):
        Results().add(name, "pass")


@pytest.mark.parametrize("value", ["", "Pass", "p s", "x" * 65, "pass\n"])
def test_a_wrong_value_is_refused(value):
    with pytest.raises(ValueError, match="expected a word in lower case"):
        Results().add("spf", value)


def test_a_fact_of_a_wrong_type_is_refused():
    with pytest.raises(TypeError, match="expected text or a number as domain, found list"):
        Results().add("spf", "pass", domain=["a"])


def test_the_number_of_results_is_limited():
    results = Results()
    for number in range(MOST):
        results.add("x", f"a{number}")
    with pytest.raises(ValueError, match=f"at most {MOST} results"):
        results.add("x", "a")


def test_a_fact_can_be_called_name_or_value():
    results = Results()
    results.add("iprev", "pass", name="host.example", value=1)
    results.replace("iprev", "pass", name="host.example")
    assert results["iprev"].facts == {"name": "host.example"}
