"""The checks of what plugins pass to the store: keys, values, times, numbers.

Keys often contain data of clients. Any text is therefore a valid key: a long one, or one that is
no valid Unicode, is replaced by its hash. Wrong arguments of another kind are faults of the plugin
and raise ValueError or TypeError before anything is sent.
"""

import hashlib
import math
import re

from gatepost.store.operations import MAX_INT, Value

# Octets. A key is an address or two; longer ones would make the index inefficient.
MAX_KEY = 200
# Octets. The store is for small state: a reputation, a list of networks.
MAX_VALUE = 4096
# Seconds: ten years.
MAX_TTL = 10 * 366 * 86_400.0
# The start of a hashed key. Keys that start with it are hashed too, so that none can be imitated.
HASHED = "#"

_NAMESPACE = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def check_namespace(name: str) -> str:
    """Return the name of a namespace; raises ValueError."""
    if not _NAMESPACE.fullmatch(name):
        raise ValueError(f"expected a name of letters, digits and _.-, found {name[:80]!r}")
    return name


def normalized(key: str) -> str:
    """Return the key, or its hash; raises TypeError unless it is text."""
    if not isinstance(key, str):
        raise TypeError(f"expected a key as text, found {type(key).__name__}")
    if key.isascii() and len(key) <= MAX_KEY and not key.startswith(HASHED):
        return key
    octets = key.encode(errors="surrogatepass")
    if len(octets) <= MAX_KEY and not key.startswith(HASHED) and _is_unicode(key):
        return key
    return HASHED + hashlib.blake2b(octets, digest_size=24).hexdigest()


def check_value(value: Value) -> Value:
    """Return a value that can be stored; raises TypeError or ValueError."""
    if isinstance(value, str):
        if len(value.encode()) > MAX_VALUE:
            raise ValueError(f"expected a text of at most {MAX_VALUE} octets, found {len(value)}")
        return value
    return check_integer(value)


def check_integer(value: int) -> int:
    """Return a whole number that can be stored; raises TypeError or ValueError."""
    if type(value) is not int:
        raise TypeError(f"expected text or a whole number, found {type(value).__name__}")
    if not -MAX_INT <= value <= MAX_INT:
        raise ValueError("expected a number up to 2**53")
    return value


def check_ttl(ttl: float | None) -> float | None:
    """Return a ttl in seconds; raises ValueError."""
    if ttl is not None and not 0 < ttl <= MAX_TTL:
        raise ValueError(f"expected a ttl from 0 to {MAX_TTL:g} seconds, found {ttl!r}")
    return ttl


def check_positive(name: str, number: float) -> float:
    """Return a rate, burst or cost; raises ValueError."""
    if not 1e-9 <= number <= 1e12 or math.isnan(number):
        raise ValueError(f"expected {name} greater than 0, found {number!r}")
    return number


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
