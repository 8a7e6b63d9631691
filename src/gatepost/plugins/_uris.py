"""Find the hosts of the links in a message.

The text parts of the message are decoded: transfer encoding, character set, character references of
HTML. Links are found in attributes such as href, as browsers read them, and in text. Of a link only
the host matters: user names, ports and %-encoding are removed, numbers that are IPv4 addresses
(`http://0x7f.1/`) are read as such, and a domain is in canonical form.

Trusts: nothing. Each step takes linear time. Limits: LIMITS; of more than MOST_HOSTS
hosts, the first and the last ones. Not found: links that a
script or a picture makes, domains in text without "http://" or "www.", attached files.
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import unquote

from gatepost import Address
from gatepost.plugins._mime import Limits, read, texts

LIMITS = Limits(parts=200, depth=20)
MOST_HOSTS = 500
MAX_AUTHORITY = 2000

_NAMES = {
    "amp": "&", "colon": ":", "sol": "/", "bsol": "\\", "period": ".", "commat": "@", "quest": "?",
    "num": "#", "tab": "\t", "newline": "\n", "lt": "<", "gt": ">", "quot": '"', "apos": "'",
    "nbsp": "\xa0", "shy": "\xad", "zwnj": "\u200c", "zwj": "\u200d", "hyphen": "\u2010",
}  # fmt: skip
_REFERENCE = re.compile(rf"(?i)&(?:#(\d{{1,7}})|#x([0-9a-f]{{1,6}})|({'|'.join(_NAMES)}));?")

# The text is in lower case, and each pattern starts with a literal: that is many times faster.
_ATTRIBUTES = tuple(
    re.compile(rf"{name}\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+))")
    for name in ("href", "src", "action", "background")
)
_IGNORED = re.compile(r"[\t\r\n]")
_LINK = re.compile(r"\s*(?:(?:https?|ftp):[/\\]*|[/\\]{2,})([^/\\?#]+)")
_TEXT = (
    re.compile(r":(?:(?<=http:)|(?<=https:)|(?<=ftp:))[/\\]+([^\s/\\?#<>\"]+)"),
    re.compile(r"www\.(?<![\w@.-]www\.)([^\s/\\?#<>\"]+)"),
)
_HOST = re.compile(r"[\w.\-\u00ad\u200b-\u200d\u2060\u3002\uff0e\uff61]+")
_NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+", re.IGNORECASE)
_DOMAIN = re.compile(r"(?=.{1,200}\Z)(?:[a-z0-9_-]{1,63}\.)+(?=[a-z0-9-]*[a-z])[a-z0-9-]{1,63}")


def find_hosts(content: bytes) -> list[str]:
    """Return the hosts of the links in a message, each once: domains and IP addresses."""
    found: dict[str, None] = {}
    for text in texts(read(content, LIMITS), len(content)):
        found.update(dict.fromkeys(authorities(without_references(text))))
    all_found = list(found)
    half = MOST_HOSTS // 2
    some = all_found if len(all_found) <= MOST_HOSTS else all_found[:half] + all_found[-half:]
    return [host for host in dict.fromkeys(map(host_of, some)) if host]


def without_references(text: str) -> str:
    """Return a text with its character references replaced."""
    return _REFERENCE.sub(_character, text) if "&" in text else text


def _character(reference: re.Match[str]) -> str:
    if reference[3]:
        return _NAMES[reference[3].lower()]
    number = int(reference[1]) if reference[1] else int(reference[2], 16)
    return chr(number) if 0 < number < 0x110000 and not 0xD800 <= number < 0xE000 else "\ufffd"


def authorities(text: str) -> Iterator[str]:
    """Yield the part of each link that has the host: `user@host:port`."""
    text = text.lower()
    for attribute in _ATTRIBUTES:
        for match in attribute.finditer(text):
            link = _LINK.match(_IGNORED.sub("", match[match.lastindex or 0]))
            if link:
                yield link[1]
    urls, names = _TEXT
    yield from (match[1] for match in urls.finditer(text))
    yield from (f"www.{match[1]}" for match in names.finditer(text))


def host_of(authority: str) -> str:
    """Return the canonical domain or IP address of an authority, "" if it has none."""
    host = unquote(authority[-MAX_AUTHORITY:].rpartition("@")[2])
    if host.startswith("["):
        return _ipv6(host[1:].partition("]")[0])
    match = _HOST.match(host)
    name = match[0].strip(".-") if match else ""
    address = _ipv4(name)
    if address:
        return address
    key = Address("", name).key[1:] if name else ""
    return key if _DOMAIN.fullmatch(key) else _ipv4(key)


def _ipv6(text: str) -> str:
    try:
        address = IPv6Address(text)
    except ValueError:
        return ""
    return str(address.ipv4_mapped or address)


def _ipv4(text: str) -> str:
    """Return the address that a host of numbers is, as browsers read it, "" if it is none."""
    numbers = text.split(".", 4)
    if not all(len(one) < 12 and _NUMBER.fullmatch(one) for one in numbers) or len(numbers) > 4:
        return ""
    try:
        *first, last = map(_number, numbers)
        value = last + sum(one << 24 - 8 * place for place, one in enumerate(first))
        valid = all(one < 256 for one in first) and last < 256 ** (5 - len(numbers))
        return str(IPv4Address(value)) if valid else ""
    except ValueError:
        return ""


def _number(text: str) -> int:
    if text[:2].lower() == "0x":
        return int(text[2:] or "0", 16)
    return int(text, 8 if text[0] == "0" else 10)
