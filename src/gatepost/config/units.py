"""Durations and sizes as an administrator writes them: "90s", "5m", "25MiB".

A duration is a number with the unit ms, s, m, h or d. A size is a whole number with a decimal unit
(KB, MB, GB, TB) or a binary one (KiB, MiB, GiB, TiB). A plain number means seconds or octets.

Limits: at most 15 digits before the decimal point and 6 after it, so nothing overflows.
"""

import re
from decimal import Decimal

_DURATION = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)(ms|[smhd]?)")
_SIZE = re.compile(r"([0-9]{1,15})([KMGT]i?B|B?)", re.IGNORECASE)

_SECONDS = {
    "ms": Decimal("0.001"),
    "": Decimal(1),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
}
_OCTETS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_SHOWN_DURATIONS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
_SHOWN_SIZES = (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))

# A larger number is a mistake, and a float cannot represent it exactly.
MAX_SECONDS = 10**15
MAX_OCTETS = 2**63 - 1


class UnitError(ValueError):
    """The value is not a duration or size; the message gives the expected form."""


def parse_duration(value: object) -> float:
    """Return the seconds of "250ms", "90s", "5m", "1.5h", "30d" or a plain number.

    Raises `UnitError`.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value
    else:
        seconds = float(_scaled_duration(value))
    if not 0 <= seconds <= MAX_SECONDS:  # also refuses NaN
        raise UnitError(f"expected a duration of 0 to {MAX_SECONDS} seconds, found {value!r}")
    return float(seconds)


def _scaled_duration(value: object) -> Decimal:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise UnitError(f'expected a duration such as "90s", "5m" or "24h", found {value!r}')
    return Decimal(match[1]) * _SECONDS[match[2]]


def parse_size(value: object) -> int:
    """Return the octets of "25MiB", "10KB", "1000" or a whole number; raises `UnitError`."""
    if isinstance(value, int) and not isinstance(value, bool):
        octets = value
    else:
        octets = _scaled_size(value)
    if not 0 <= octets <= MAX_OCTETS:
        raise UnitError(f"expected a size of 0 to {MAX_OCTETS} octets, found {value!r}")
    return octets


def _scaled_size(value: object) -> int:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise UnitError(f'expected a size such as "25MiB" or "10KB", found {value!r}')
    return int(match[1]) * _OCTETS[match[2].lower()]


def format_duration(seconds: float) -> str:
    """Return a duration in the largest unit that gives a whole number: `5m`, `90s`, `250ms`.

    Exact to the millisecond.
    """
    milliseconds = round(seconds * 1000)
    for unit, length in _SHOWN_DURATIONS:
        if milliseconds and milliseconds % (length * 1000) == 0:
            return f"{milliseconds // (length * 1000)}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


def format_size(octets: int) -> str:
    """Return a size in the largest binary unit that gives a whole number: `25MiB`, `1000`."""
    for unit, length in _SHOWN_SIZES:
        if octets and octets % length == 0:
            return f"{octets // length}{unit}"
    return str(octets)
