"""The rules of greylisting, without a store: what a key is, and what its number means.

The number of a key is the time of the first attempt, or, negative, the time at which the key was
last found known. The number of an origin is that of its successful retries with the hour of the
last one, or, negative, the time at which it was last found trusted. Times are in milliseconds
since the epoch, hours too are counted from there.

Limits: clocks of machines that share a store may differ. An attempt is then deferred for at most
twice the delay, because a time further in the future is no reason to defer.
"""

import re
from typing import Literal

Outcome = Literal["new", "early", "passed", "known", "trusted", "learned", "temperror"]

# The most successes that can be asked for: a number below it is added to the hour.
MOST_SUCCESSES = 60
_HOUR = 3_600_000
_FACTOR = MOST_SUCCESSES + 1

# Local parts that contain something new in each message.
_SIGNED = re.compile(r"(?:(?:ms)?prvs\d*|btv\d+)=+[^=]+=+(.+)")  # BATV and its relatives
_SRS = re.compile(r"srs[01][-+=][^=]+=+(?:[a-z2-7]{2}=)?(.+)")  # the hash, and the day in SRS0
_RECIPIENT = re.compile(r"[-.][^-.=]+=[^=]+$")  # bounce-user=example.com
_HEXADECIMAL = re.compile(r"(?<![a-z0-9])(?=[a-f]*[0-9])[0-9a-f]{6,}(?![a-z0-9])")
_NUMBER = re.compile(r"(?<![a-z])[0-9]+(?![a-z])")


def stable_local(local: str) -> str:
    """Return a local part without what bulk senders change in each message.

    These are signatures (BATV, SRS), the recipient (VERP), tags and numbers.
    """
    local = local.lower()
    if signed := _SIGNED.fullmatch(local):
        local = signed[1]
    if forwarded := _SRS.fullmatch(local):
        return forwarded[1]
    head = local.partition("+")[0] or local
    without = _RECIPIENT.sub("", head) or head
    return _NUMBER.sub("#", _HEXADECIMAL.sub("#", without))


def judge(stored: int | None, trust: int | None, now: int, delay: float) -> tuple[Outcome, float]:
    """Return what the numbers of a key and its origin mean, and the seconds to wait.

    `now` is in milliseconds, `delay` in seconds.
    """
    if trust is not None and trust < 0:
        return "trusted", 0.0
    if stored is None:
        return "new", delay
    if stored < 0:
        return "known", 0.0
    waited = (now - stored) / 1000
    if -delay <= waited < delay:
        return "early", delay - waited
    return "passed", 0.0


def with_success(trust: int | None, now: int, needed: int) -> int | None:
    """Return the number of an origin after a successful retry, None if it stays.

    `needed` is the number of successes from which it is trusted; 0 is never. Only the first
    success of an hour counts. So nodes that count at the same time write the same number.
    """
    hour, (last, count) = now // _HOUR, divmod(trust or 0, _FACTOR)
    if not needed or hour == last:
        return None
    return -now if count + 1 >= needed else hour * _FACTOR + count + 1
