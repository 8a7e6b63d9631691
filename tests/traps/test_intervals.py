"""Intervals against published values and against exact sums."""

from math import comb, exp, factorial, isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.traps.intervals import clopper_pearson, garwood, incomplete_beta, incomplete_gamma


@pytest.mark.parametrize(
    ("events", "trials", "low", "high"),
    [
        (0, 10, 0, 0.30850),
        (1, 10, 0.00253, 0.44502),
        (5, 10, 0.18709, 0.81291),
        (10, 10, 0.69150, 1),
        (3, 100, 0.00623, 0.08518),
        (0, 1698, 0, 0.00217),
    ],
)
def test_shares_agree_with_tables(events, trials, low, high):
    assert clopper_pearson(events, trials) == pytest.approx((low, high), abs=1e-5)


@pytest.mark.parametrize(
    ("events", "low", "high"),
    [(0, 0, 3.6889), (1, 0.0253, 5.5716), (10, 4.7954, 18.3904), (100, 81.364, 121.627)],
)
def test_rates_agree_with_tables(events, low, high):
    assert garwood(events) == pytest.approx((low, high), abs=1e-3)


def test_no_event_is_the_rule_of_three():
    assert clopper_pearson(0, 3000, 0.90).high == pytest.approx(3 / 3000, rel=0.01)
    assert garwood(0, 0.90).high == pytest.approx(3, rel=0.01)


def test_no_trial_proves_nothing():
    assert clopper_pearson(0, 0) == (0, 1)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: clopper_pearson(2, 1),
        lambda: clopper_pearson(-1, 1),
        lambda: garwood(-1),
        lambda: clopper_pearson(1, 2, 1.0),
        lambda: garwood(1, 0.0),
    ],
)
def test_impossible_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match="expected"):
        wrong()


@given(st.integers(1, 60), st.integers(0, 60), st.floats(0.01, 0.99))
def test_the_beta_function_is_a_binomial_tail(a, extra, x):
    n = a + extra
    tail = sum(comb(n, k) * x**k * (1 - x) ** (n - k) for k in range(a, n + 1))
    assert isclose(incomplete_beta(a, extra + 1, x), tail, abs_tol=1e-9)


@given(st.integers(1, 40), st.floats(0.01, 80))
def test_the_gamma_function_is_a_poisson_tail(a, x):
    below = sum(exp(-x) * x**k / factorial(k) for k in range(a))
    assert isclose(incomplete_gamma(a, x), 1 - below, abs_tol=1e-9)


def test_the_functions_end_at_zero_and_one():
    assert [incomplete_beta(2, 3, x) for x in (-1, 0, 1, 2)] == [0, 0, 1, 1]
    assert incomplete_gamma(2, 0) == 0


@pytest.mark.parametrize("events", [1_000, 1_000_000])
def test_large_counts_are_narrow(events):
    low, high = clopper_pearson(events, 2 * events)
    assert 0.46 < low < 0.5 < high < 0.54
    low, high = garwood(events)
    assert 0.9 * events < low < events < high < 1.1 * events
