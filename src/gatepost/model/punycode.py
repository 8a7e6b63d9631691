"""Punycode (RFC 3492), encoding only.

The codec of the standard library takes time quadratic in the length. This one stops as soon as the
result is too long for a label, and its time is nearly linear.
"""

from bisect import bisect, insort

_BASE, _TMIN, _TMAX, _SKEW, _DAMP = 36, 1, 26, 38, 700
_INITIAL_BIAS, _INITIAL_N = 72, 128
_DIGITS = "abcdefghijklmnopqrstuvwxyz0123456789"


def encode(label: str, limit: int) -> str:
    """Return the Punycode of a label; raise ValueError if it is longer than `limit`."""
    room = limit - len(label)
    if room < 0:
        raise ValueError  # every character takes at least one octet
    output = [char for char in label if char < "\x80"]
    basic = len(output)
    # The positions of all characters below the current one, in order.
    lower = [at for at, char in enumerate(label) if char < "\x80"]
    if basic:
        output.append("-")
        room -= 1
    code, delta, bias, handled = _INITIAL_N, 0, _INITIAL_BIAS, basic
    for char, positions in sorted(_positions(label).items()):
        delta += (ord(char) - code) * (handled + 1)
        passed = 0
        for at in positions:
            before = bisect(lower, at)
            delta += before - passed
            passed = before
            digits = _variable_length(delta, bias)
            output.append(digits)
            room -= len(digits) - 1
            bias = _adapt(delta, handled + 1, first=handled == basic)
            delta = 0
            handled += 1
        if room < 0:
            raise ValueError
        delta += len(lower) - passed + 1
        for at in positions:
            insort(lower, at)
        code = ord(char) + 1
    return "".join(output)


def _positions(label: str) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for at, char in enumerate(label):
        if char >= "\x80":
            found.setdefault(char, []).append(at)
    return found


def _variable_length(number: int, bias: int) -> str:
    """Return a generalised variable-length integer (RFC 3492 section 3.3)."""
    digits = ""
    position = _BASE
    while True:
        threshold = min(max(position - bias, _TMIN), _TMAX)
        if number < threshold:
            return digits + _DIGITS[number]
        number, digit = divmod(number - threshold, _BASE - threshold)
        digits += _DIGITS[threshold + digit]
        position += _BASE


def _adapt(delta: int, points: int, *, first: bool) -> int:
    """Return the next bias (RFC 3492 section 6.1)."""
    delta //= _DAMP if first else 2
    delta += delta // points
    steps = 0
    while delta > (_BASE - _TMIN) * _TMAX // 2:
        delta //= _BASE - _TMIN
        steps += _BASE
    return steps + (_BASE - _TMIN + 1) * delta // (delta + _SKEW)
