"""The Sender Rewriting Scheme (SRS): addresses of this server that contain the original sender.

    SRS0=HHHH=TT=example.org=alice@srs.example.com      alice@example.org, forwarded here
    SRS1=HHHH=first.example==HHHH=TT=example.org=alice@srs.example.com     forwarded twice

HHHH is a keyed hash of what follows it, TT the day. An address that was forwarded before becomes
SRS1, with the first forwarder, which leads back to the sender. SRS has no RFC; the form, and the
hash (HMAC-SHA1 in base64, the first four characters), are those of libsrs2 and PostSRSd.

Trust: an address with SRS comes from anyone. It is used only if a hash of it is right. Mail servers
may change the case, so hashes are compared without it, in constant time.

Limits: four characters are about 20 bits: an attacker needs a million attempts for one address to
which this server then relays, for `max_age`. The limits on refused recipients prevent that.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha1
from hmac import compare_digest
from hmac import new as new_hmac
from typing import Final

from gatepost import Address, AddressError

DAY: Final = 86400.0
# RFC 5321 requires 64 octets. Mail servers take more, and SRS needs more.
LONGEST: Final = 256

_DIGITS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_CYCLE: Final = len(_DIGITS) ** 2
_LENGTH: Final = 4
_TAGGED: Final = re.compile(r"SRS([01])([=+-])(.*)", re.IGNORECASE | re.DOTALL)
_PARTS: Final = {
    "0": re.compile(r"([^=]+)=([A-Z2-7]{2})=([^=]+)=(.+)", re.IGNORECASE | re.DOTALL),
    "1": re.compile(r"([^=]+)=([^=]+)=([=+-].+)", re.DOTALL),
}


class SrsError(ValueError):
    """An address with SRS that is not valid, or a sender that cannot be rewritten.

    `reason` is a word for logs: "form", "hash", "expired" or "length".
    """

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Rewriter:
    """Addresses of `domain`, signed with the first of `secrets` and checked with all of them.

    `max_age` is in days, at most 1000. At least one secret must be given.
    """

    def __init__(self, domain: str, secrets: Sequence[str], max_age: int) -> None:
        self._domain = domain
        self._keys = [one.encode() for one in secrets]
        self._max_age = max_age

    def forward(self, sender: Address, now: float) -> Address:
        """Return the sender to forward with; raises `SrsError` if it is too long.

        `now` is in seconds since the epoch.
        """
        local = self._again(sender) or self._first(sender, _stamp(now))
        if len(local.encode(errors="surrogatepass")) > LONGEST:
            raise SrsError("length", f"the local part would have more than {LONGEST} octets")
        return Address(local, self._domain)

    def _first(self, sender: Address, stamp: str) -> str:
        signed = stamp, sender.domain, sender.local
        return f"SRS0={self._sign(*signed)}={'='.join(signed)}"

    def _again(self, sender: Address) -> str:
        """Return the local part for a sender that has SRS already, "" for another."""
        tagged = _TAGGED.fullmatch(sender.local)
        if tagged is None:
            return ""
        host, rest = sender.domain, f"{tagged[2]}{tagged[3]}"
        if tagged[1] == "1":
            parts = _PARTS["1"].fullmatch(tagged[3])
            if parts is None:
                return ""
            host, rest = parts[2], parts[3]
        return f"SRS1={self._sign(host, rest)}={host}={rest}"

    def back(self, address: Address, now: float) -> Address | None:
        """Return the sender in an address of the domain, None for an address without SRS.

        Raises `SrsError` for an address that this server has not made, or not within the time.
        """
        tagged = _TAGGED.fullmatch(address.local)
        if tagged is None:
            return None
        parts = _PARTS[tagged[1]].fullmatch(tagged[3])
        if parts is None:
            raise SrsError("form", "not an SRS address of this server")
        given, *signed = parts.groups()
        if not self._is_signed(given, signed):
            raise SrsError("hash", "the hash of the SRS address is wrong")
        if tagged[1] == "1":
            return _address(f"SRS0{signed[1]}", signed[0])
        if not self._is_recent(signed[0], now):
            raise SrsError("expired", "the SRS address has expired")
        return _address(signed[2], signed[1])

    def _sign(self, *parts: str) -> str:
        return _digest(self._keys[0], parts)[:_LENGTH]

    def _is_signed(self, given: str, parts: Sequence[str]) -> bool:
        """Return whether a hash is that of any secret; a longer hash is compared as a whole."""
        if len(given) < _LENGTH:
            return False
        found = given.lower().encode(errors="surrogatepass")
        return any(
            compare_digest(found, _digest(key, parts)[: len(given)].lower().encode())
            for key in self._keys
        )

    def _is_recent(self, stamp: str, now: float) -> bool:
        """Return whether a day is not too long ago; the clock that made it may be a day ahead."""
        first, second = map(_DIGITS.index, stamp.upper())
        age = (int(now // DAY) - first * len(_DIGITS) - second) % _CYCLE
        return age <= self._max_age or age == _CYCLE - 1


def _stamp(now: float) -> str:
    first, second = divmod(int(now // DAY) % _CYCLE, len(_DIGITS))
    return _DIGITS[first] + _DIGITS[second]


def _digest(key: bytes, parts: Sequence[str]) -> str:
    text = "".join(parts).lower().encode(errors="surrogatepass")
    return b64encode(new_hmac(key, text, sha1).digest()).decode("ascii")


def _address(local: str, domain: str) -> Address:
    """Return an address; raises `SrsError` if it is none, although it was signed here."""
    try:
        return Address.parse(str(Address(local, domain)))
    except AddressError as error:
        raise SrsError("form", f"not an address: {error}") from error
