"""The syntax of records (RFC 7208 section 12): text in, values or the first error out.

Every term is checked, also those after a match (section 4.6). Limits: time is linear in the length
of the record; no regular expression can backtrack.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Any

from gatepost.mailauth.shown import shown
from gatepost.mailauth.spf.macros import MacroText, parse_macros
from gatepost.mailauth.spf.problem import ExpectedError
from gatepost.mailauth.spf.record import Mechanism, Modifier, Record
from gatepost.mailauth.spf.result import Word

VERSION = "v=spf1"

# Records of large providers are parsed once. Long ones are not kept: the cache stays small.
_CACHED_RECORDS = 512
_CACHED_LENGTH = 1024

_QUALIFIERS: Mapping[str, Word] = {
    "": "pass",
    "+": "pass",
    "-": "fail",
    "~": "softfail",
    "?": "neutral",
}
_TERM = re.compile(r"([-+?~]?)([a-z][a-z0-9_.-]*)(.*)", re.IGNORECASE | re.ASCII)
_BITS = r"(0|[1-9][0-9]{0,2})"
_DUAL = re.compile(rf"(?:/{_BITS})?(?://{_BITS})?\Z", re.ASCII)
_PREFIX = re.compile(rf"(?:/{_BITS})?\Z", re.ASCII)
_TOP_LABEL = re.compile(r"[a-z0-9-]+", re.IGNORECASE | re.ASCII)
_ONLY_IN_EXPLANATIONS = frozenset("crt")


class RecordError(ValueError):
    """The syntax of a record is wrong; the message has the number of the term and its text."""


def is_record(text: str) -> bool:
    """Return whether a TXT record is an SPF record (RFC 7208 section 4.5)."""
    return text[:6].lower() == VERSION and text[6:7] in {"", " "}


def parse_record(text: str) -> Record:
    """Parse a record that begins with "v=spf1".

    Raises RecordError with the number of the first wrong term, its text and what was expected.
    """
    return _parse_cached(text) if len(text) <= _CACHED_LENGTH else _parse(text)


def _parse(text: str) -> Record:
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, Modifier] = {}
    for number, term in enumerate(filter(None, text[len(VERSION) :].split(" ")), 1):
        try:
            _add_term(term, mechanisms, modifiers)
        except ExpectedError as error:
            raise RecordError(f"term {number} ({shown(term)}): expected {error}") from None
    return Record(tuple(mechanisms), modifiers.get("redirect"), modifiers.get("exp"))


_parse_cached = lru_cache(_CACHED_RECORDS)(_parse)


def _add_term(term: str, mechanisms: list[Mechanism], modifiers: dict[str, Modifier]) -> None:
    if not term.isascii() or not term.isprintable():
        raise ExpectedError("printable ASCII characters")
    match = _TERM.fullmatch(term)
    if match is None:
        raise ExpectedError("a mechanism or a modifier")
    qualifier, name, rest = match[1], match[2].lower(), match[3]
    if rest[:1] == "=":
        if qualifier:
            raise ExpectedError("no qualifier in front of a modifier")
        _add_modifier(term, name, rest[1:], modifiers)
        return
    read = _MECHANISMS.get(name)
    if read is None:
        raise ExpectedError("a mechanism (all, include, a, mx, ptr, ip4, ip6, exists)")
    mechanisms.append(Mechanism(term, _QUALIFIERS[qualifier], name, **read(rest)))


def _add_modifier(term: str, name: str, value: str, modifiers: dict[str, Modifier]) -> None:
    if name not in {"redirect", "exp"}:
        _check_letters(parse_macros(value))
        return
    if name in modifiers:
        raise ExpectedError(f"{name}= only once")
    modifiers[name] = Modifier(term, _domain(value))


# Readers of the text after the name of a mechanism: the fields of `Mechanism`.


def _nothing(rest: str) -> dict[str, Any]:
    if rest:
        raise ExpectedError("nothing after the name")
    return {}


def _needed_domain(rest: str) -> dict[str, Any]:
    if rest[:1] != ":":
        raise ExpectedError("a colon and a domain after the name")
    return {"target": _domain(rest[1:])}


def _optional_domain(rest: str) -> dict[str, Any]:
    return _needed_domain(rest) if rest else {}


def _domain_and_bits(rest: str) -> dict[str, Any]:
    match = _DUAL.search(rest)
    assert match is not None  # it matches the empty end
    fields = _optional_domain(rest[: match.start()])
    return {**fields, "bits": (_bits(match[1], 32), _bits(match[2], 128))}


def _ip4(rest: str) -> dict[str, Any]:
    text, bits = _network(rest)
    try:
        return {"network": int(IPv4Address(text)), "bits": (_bits(bits, 32), 0)}
    except AddressValueError:
        raise ExpectedError("an IPv4 address, such as ip4:192.0.2.0/24") from None


def _ip6(rest: str) -> dict[str, Any]:
    text, bits = _network(rest)
    try:
        address = IPv6Address(text)
    except AddressValueError:
        address = None
    if address is None or "%" in text:
        raise ExpectedError("an IPv6 address, such as ip6:2001:db8::/32")
    return {"network": int(address), "bits": (0, _bits(bits, 128))}


def _network(rest: str) -> tuple[str, str | None]:
    """Return the text of an address and the length of its prefix."""
    if rest[:1] != ":":
        raise ExpectedError("a colon and an IP address after the name")
    match = _PREFIX.search(rest)
    assert match is not None  # it matches the empty end
    return rest[1 : match.start()], match[1]


def _bits(text: str | None, most: int) -> int:
    bits = most if text is None else int(text)
    if bits > most:
        raise ExpectedError(f"a prefix length of at most {most}")
    return bits


def _domain(text: str) -> MacroText:
    """Parse a domain-spec (RFC 7208 section 7.1)."""
    if not text:
        raise ExpectedError("a domain")
    parsed = parse_macros(text)
    _check_letters(parsed)
    if not parsed.ends_with_macro and not _has_top_label(text):
        raise ExpectedError(_expected_domain(text))
    return parsed


def _check_letters(parsed: MacroText) -> None:
    if parsed.letters & _ONLY_IN_EXPLANATIONS:
        raise ExpectedError("no macro c, r or t outside of an explanation")


def _has_top_label(text: str) -> bool:
    _, dot, label = text.removesuffix(".").rpartition(".")
    well_formed = dot and _TOP_LABEL.fullmatch(label) and not label.isdigit()
    return bool(well_formed) and label[0] != "-" and label[-1] != "-"


def _expected_domain(text: str) -> str:
    if re.fullmatch(r"[0-9.]+(?:/.*)?", text):
        return "a domain; use ip4: for an IP address"
    return "a domain that ends with a dot and a top-level domain, or with a macro"


_MECHANISMS: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "all": _nothing,
    "include": _needed_domain,
    "a": _domain_and_bits,
    "mx": _domain_and_bits,
    "ptr": _optional_domain,
    "ip4": _ip4,
    "ip6": _ip6,
    "exists": _needed_domain,
}
