"""Mailbox addresses: RFC 5321 section 4.1.2 with the UTF-8 extensions of RFC 6531 section 3.3.

One type for every address: from the wire, a list file, the configuration or a plugin.
`Address.parse` accepts exactly the grammar below and raises `AddressError` for the rest.

Limits: MAX_LOCAL and MAX_DOMAIN. RFC 5321 section 4.5.3.1 requires at least 64 and 255 octets. In
practice bounce addresses that contain another address (VERP, SRS) exceed the 64.
"""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Self
from unicodedata import normalize

import idna
import msgspec

MAX_LOCAL = 256
MAX_DOMAIN = 255

# RFC 5321 s4.1.2, as extended by RFC 6531 s3.3 (UTF8-non-ascii in atext, qtextSMTP, sub-domain)
_UTF8 = r"\u00a0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010ffff"
ATEXT = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~{_UTF8}-]"
DOT_STRING = rf"{ATEXT}+(?:\.{ATEXT}+)*"
QUOTED_STRING = rf'"(?:[ !#-\[\]-~{_UTF8}]|\\[ -~])*"'
SUB_DOMAIN = rf"[A-Za-z0-9{_UTF8}]+(?:-+[A-Za-z0-9{_UTF8}]+)*"
DOMAIN = rf"{SUB_DOMAIN}(?:\.{SUB_DOMAIN})*"
ADDRESS_LITERAL = r"\[[!-Z^-~]+\]"
MAILBOX = rf"(?:{DOT_STRING}|{QUOTED_STRING})@(?:{DOMAIN}|{ADDRESS_LITERAL})"

_SPLIT_MAILBOX = re.compile(rf"({DOT_STRING}|{QUOTED_STRING})@({DOMAIN}|{ADDRESS_LITERAL})")
_DOT_STRING = re.compile(DOT_STRING)
_DOMAIN = re.compile(DOMAIN)
_GENERAL_LITERAL = re.compile(r"\[[A-Za-z0-9-]*[A-Za-z0-9]:[!-Z^-~]+\]")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_PAIR = re.compile(r'(["\\])')


class AddressError(ValueError):
    """The text is not a mailbox address; the message gives the reason."""


class Address(msgspec.Struct, frozen=True):
    """A mailbox.

    `local` is the local part without quoting (`"a b"@x` has the local part `a b`). `domain` is the
    domain or address literal as written. The null reverse-path `<>` has both empty and is false.
    `<postmaster>` has an empty domain.
    """

    local: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse `local@domain` without angle brackets; raises `AddressError`."""
        match = _SPLIT_MAILBOX.fullmatch(text)
        if match is None:
            raise AddressError(f"expected local-part@domain, found {text[:80]!r}")
        return cls.from_parts(match[1], match[2])

    @classmethod
    def from_parts(cls, local: str, domain: str) -> Self:
        """Return the address of two halves that matched MAILBOX; raises `AddressError`."""
        if len(local) > MAX_LOCAL or len(domain) > MAX_DOMAIN:
            raise AddressError(f"longer than {MAX_LOCAL} (local part) or {MAX_DOMAIN} (domain)")
        if domain[0] == "[":
            check_literal(domain)
        return cls(unquote(local) if local[0] == '"' else local, domain)

    def __bool__(self) -> bool:
        return self.local != "" or self.domain != ""

    def __str__(self) -> str:
        plain = self.local.isalnum() or _DOT_STRING.fullmatch(self.local) or not self
        local = self.local if plain else quote(self.local)
        return f"{local}@{self.domain}" if self.domain else local

    @property
    def key(self) -> str:
        """The same text for all spellings of a mailbox: lower case, the domain in A-labels."""
        return f"{local_key(self.local)}@{domain_key(self.domain)}"


NULL_PATH = Address("", "")


def local_key(local: str) -> str:
    """Return a local part in lower case and in the composed Unicode form (NFC)."""
    return local.lower() if local.isascii() else normalize("NFC", local.lower())


def domain_key(domain: str) -> str:
    """Return a domain in lower case, an internationalised one as A-labels (RFC 5890)."""
    return domain.lower() if domain.isascii() else _to_a_labels(domain)


@lru_cache(maxsize=4096)
def _to_a_labels(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return domain.lower()


def parse_domain(text: str) -> str:
    """Return the key of a domain name, as lists and configuration use it; raises `AddressError`."""
    if len(text) > MAX_DOMAIN or not _DOMAIN.fullmatch(text):
        raise AddressError(f"expected a domain name, found {text[:80]!r}")
    return domain_key(text)


def check_literal(literal: str) -> None:
    """Raise `AddressError` unless the text is an address literal (RFC 5321 s4.1.3).

    The forms are `[192.0.2.1]`, `[IPv6:2001:db8::1]` and `[tag:content]`.
    """
    try:
        if literal[:6].lower() == "[ipv6:":
            _check_ipv6(literal[6:-1])
        elif not _GENERAL_LITERAL.fullmatch(literal):
            IPv4Address(literal[1:-1])
    except AddressValueError as error:
        raise AddressError(f"expected an address literal, found {literal[:80]!r}") from error


def _check_ipv6(text: str) -> None:
    if "%" in text:
        raise AddressValueError("a zone has no meaning on another host")
    IPv6Address(text)


def unquote(quoted: str) -> str:
    """Return the content of a Quoted-string, with quoted-pairs resolved."""
    return _QUOTED_PAIR.sub(r"\1", quoted[1:-1])


def quote(local: str) -> str:
    """Return a local part as a Quoted-string."""
    return '"' + _NEEDS_PAIR.sub(r"\\\1", local) + '"'


def without_tag(local: str, separator: str) -> str:
    """Return `user` for `user+tag`; a local part that starts with the separator has no tag."""
    at = local.find(separator, 1) if separator else -1
    return local if at < 0 else local[:at]
