"""Exact confidence intervals for counts: Clopper-Pearson for shares, Garwood for rates.

Both are exact in the sense that they never cover less than stated; with 0 events they are the "rule
of three" (3/n at 95 %, one-sided). The limits solve tail probabilities by bisection; they are right
to about 1e-10. Counts up to some millions are computed in microseconds to a few milliseconds.
"""

from collections.abc import Callable
from math import exp, lgamma, log, log1p, sqrt
from typing import NamedTuple

# Numbers of the continued fractions; the method of Lentz, see Numerical Recipes 6.2 and 6.4.
_TINY = 1e-300
_CLOSE = 1e-14
_MOST_STEPS = 100_000


class Interval(NamedTuple):
    """The limits of a confidence interval."""

    low: float
    high: float


def clopper_pearson(events: int, trials: int, confidence: float = 0.95) -> Interval:
    """Return the two-sided exact interval for a share; raises ValueError for impossible counts.

    Without trials it is 0 to 1.
    """
    if not 0 <= events <= trials:
        raise ValueError(f"expected 0 to {trials} events, found {events}")
    tail = _tail(confidence)
    low = high = 0.0
    if trials == 0:
        return Interval(0.0, 1.0)
    if events > 0:
        low = _solve(lambda p: incomplete_beta(events, trials - events + 1, p), tail, 1.0)
    if events < trials:
        high = _solve(lambda p: incomplete_beta(events + 1, trials - events, p), 1 - tail, 1.0)
    else:
        high = 1.0
    return Interval(low, high)


def garwood(events: int, confidence: float = 0.95) -> Interval:
    """Return the two-sided exact interval for the mean of a Poisson count."""
    if events < 0:
        raise ValueError(f"expected at least 0 events, found {events}")
    tail = _tail(confidence)
    limit = events + 20 + 12 * sqrt(events + 1) - 2 * log(tail)
    low = _solve(lambda mean: incomplete_gamma(events, mean), tail, limit) if events else 0.0
    return Interval(low, _solve(lambda mean: incomplete_gamma(events + 1, mean), 1 - tail, limit))


def _tail(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"expected a confidence between 0 and 1, found {confidence}")
    return (1 - confidence) / 2


def _solve(rising: Callable[[float], float], value: float, limit: float) -> float:
    """Return the argument from 0 to `limit` at which a rising function has a value."""
    low, high = 0.0, limit
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return high


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), from 0 to 1."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    scale = lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)
    return exp(scale) / a * _beta_fraction(a, b, x)


def _beta_fraction(a: float, b: float, x: float) -> float:
    def numerator(step: int) -> float:
        half, odd = divmod(step, 2)
        if odd:
            return -(a + half) * (a + b + half) * x / ((a + step - 1) * (a + step))
        return half * (b - half) * x / ((a + step - 1) * (a + step))

    return 1 / _fraction(numerator, lambda _step: 1.0, 1.0)


def incomplete_gamma(a: float, x: float) -> float:
    """Return the regularised lower incomplete gamma function P(a, x), from 0 to 1."""
    if x <= 0:
        return 0.0
    scale = exp(a * log(x) - x - lgamma(a))
    if x < a + 1:
        return scale * _gamma_series(a, x)
    start = x + 1 - a
    fraction = _fraction(lambda step: -step * (step - a), lambda step: start + 2 * step, start)
    return 1 - scale / fraction


def _gamma_series(a: float, x: float) -> float:
    term = total = 1 / a
    for step in range(1, _MOST_STEPS):
        term *= x / (a + step)
        total += term
        if term < total * _CLOSE:
            break
    return total


def _fraction(
    numerator: Callable[[int], float], denominator: Callable[[int], float], start: float
) -> float:
    """Return the continued fraction start + n1/(d1 + n2/(d2 + …)), by the method of Lentz."""
    value = c = start or _TINY
    d = 0.0
    for step in range(1, _MOST_STEPS):
        above, below = numerator(step), denominator(step)
        d = 1 / ((below + above * d) or _TINY)
        c = (below + above / c) or _TINY
        value *= c * d
        if abs(c * d - 1) < _CLOSE:
            break
    return value
