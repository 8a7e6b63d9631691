"""The addresses in the value of a header field such as From (RFC 5322 section 3.4).

Only the addresses change; display names, comments, groups and white space stay as they are.

Trust: a value comes from a client. It is read in one pass, so time grows with its length only. An
address that is not in a usual form, such as one with white space around `@`, is left out.
"""

import re
from collections.abc import Mapping
from typing import Final

from gatepost import Address, AddressError

_QUOTED: Final = r'"(?:[^"\\]|\\.)*+'
_WORD: Final = r'[^\s()<>\[\]:;@\\,"]'
# Comments, addresses, texts in quotes, words. What does not end goes to the end of the value.
_TOKEN: Final = re.compile(
    rf"\((?:[^()\\]|\\.)*+(?:\)|\\?\Z)"
    rf'|(?P<address>(?:{_QUOTED}"|{_WORD}++)@(?:{_WORD}++|\[[^\[\]\s]*+\]))'
    rf'|{_QUOTED}(?:"|\\?\Z)|{_WORD}++',
    re.DOTALL,
)


def addresses_in(value: str) -> list[Address]:
    """Return the addresses in a value, each once."""
    found = (_parsed(match["address"]) for match in _TOKEN.finditer(value) if match["address"])
    return list(dict.fromkeys(one for one in found if one is not None))


def replace_addresses(value: str, new: Mapping[Address, Address]) -> str:
    """Return a value with other addresses instead of some."""

    def replaced(match: re.Match[str]) -> str:
        address = _parsed(match["address"]) if match["address"] else None
        return match[0] if address is None or address not in new else str(new[address])

    return _TOKEN.sub(replaced, value)


def _parsed(text: str) -> Address | None:
    try:
        return Address.parse(text)
    except AddressError:
        return None
