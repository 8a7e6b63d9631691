"""Mailbox addresses: RFC 5321 section 4.1.2 with the UTF-8 extensions of RFC 6531 section 3.3.

One type for every address: from the wire, a list file, the configuration or a plugin.
`Address.parse` accepts exactly LENIENT_MAILBOX and raises `AddressError` for the rest. It is the
grammar of the RFC and three things that are in use: dots anywhere in a local part (`a..b`),
underscores in a domain, and a final dot, which is dropped.

`local_key` and `domain_key` give the canonical form, the only one in which addresses are compared:
in traps, recipients, domains, routes and the fields of targets.

Limits in octets: MAX_LOCAL and MAX_DOMAIN. RFC 5321 section 4.5.3.1 requires at least 64 and 255.
In practice bounce addresses that contain another address (VERP, SRS) exceed the 64. MAX_LABEL is
the limit of the DNS (RFC 1035 section 2.3.4). An internationalised domain is within the limits both
in UTF-8 and as A-labels. The limits also bound the time that the canonical form takes.
"""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final
from unicodedata import normalize

import idna

from gatepost.model import punycode
from gatepost.model.structs import Frozen

MAX_LOCAL: Final = 256
MAX_DOMAIN: Final = 255
MAX_LABEL: Final = 63

# Not in UTF8-non-ascii (RFC 6531 s3.3): C1 controls, surrogates and noncharacters.
_NOT_UTF8: Final = r"\x80-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
_ASCII: Final = "".join([chr(number) for number in range(128)])


def _or_utf8(allowed: str) -> str:
    """Return the class of these ASCII characters and UTF8-non-ascii, for a pattern.

    It is written as the ranges that it excludes. Python compiles a class character by character, so
    the usual form with the 60,000 included ones takes twenty times as long.
    """
    excluded = re.findall(rf"[^{allowed}]+", _ASCII)
    ranges = [f"{re.escape(one[0])}-{re.escape(one[-1])}" for one in excluded]
    return f"[^{''.join(ranges)}{_NOT_UTF8}]"


# RFC 5321 s4.1.2, as extended by RFC 6531 s3.3 (UTF8-non-ascii in atext, qtextSMTP, sub-domain).
# Repetitions are possessive, which takes less than half the time: none of them can end in two ways.
_ATEXT: Final = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~-"
_ATOM: Final = _or_utf8(_ATEXT) + "++"
_LET_DIG: Final = _or_utf8("A-Za-z0-9") + "++"
_QUOTED_TEXT: Final = _or_utf8(r" !#-\[\]-~")
DOT_STRING: Final = rf"{_ATOM}(?:\.{_ATOM})*+"
QUOTED_STRING: Final = rf'"(?:{_QUOTED_TEXT}|\\[ -~])*"'
DOMAIN: Final = rf"{_LET_DIG}(?:(?:-++|\.){_LET_DIG})*+"
ADDRESS_LITERAL: Final = r"\[[!-Z^-~]++\]"

_LENIENT_LOCAL: Final = rf"{QUOTED_STRING}|{_or_utf8('.' + _ATEXT)}++"
_LENIENT_LET_DIG: Final = _or_utf8("_A-Za-z0-9") + "++"
LENIENT_DOMAIN: Final = rf"{_LENIENT_LET_DIG}(?:(?:-++|\.){_LENIENT_LET_DIG})*+\.?+"
LENIENT_MAILBOX: Final = rf"({_LENIENT_LOCAL})@({LENIENT_DOMAIN}|{ADDRESS_LITERAL})"

_MAILBOX: Final = re.compile(LENIENT_MAILBOX)
_DOT_STRING: Final = re.compile(DOT_STRING)
_DOMAIN: Final = re.compile(LENIENT_DOMAIN)
_GENERAL_LITERAL: Final = re.compile(r"\[[A-Za-z0-9-]*[A-Za-z0-9]:[!-Z^-~]+\]")
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_A_LABEL: Final = "xn--"
_NEEDS_PAIR: Final = re.compile(r'(["\\])')


class AddressError(ValueError):
    """The text is not a mailbox address; the message gives the reason."""


class Address(Frozen, frozen=True):
    """A mailbox.

    `local` is the local part without quoting (`"a b"@x` has the local part `a b`). `domain` is the
    domain or address literal as written, without a final dot. The null reverse-path `<>` has both
    empty and is false. `<postmaster>` has an empty domain.
    """

    local: str
    domain: str

    @staticmethod
    def parse(text: str) -> "Address":
        """Parse `local@domain` without angle brackets; raises `AddressError`."""
        match = _MAILBOX.fullmatch(text)
        if match is None:
            raise AddressError(f"expected local-part@domain, found {text[:80]!r}")
        return from_parts(match[1], match[2])

    def __bool__(self) -> bool:
        return self.local != "" or self.domain != ""

    def __str__(self) -> str:
        return address_text(self)

    @property
    def key(self) -> str:
        """The same text for all spellings of a mailbox: local part and domain in canonical form."""
        return f"{local_key(self.local)}@{domain_key(self.domain)}"


NULL_PATH: Final = Address("", "")


def address_text(address: Address) -> str:
    """Return an address as text, as `str` does, but in a fraction of the time."""
    local, domain = address.local, address.domain
    if not (local.isalnum() or _DOT_STRING.fullmatch(local)) and (local or domain):
        local = quote(local)
    return f"{local}@{domain}" if domain else local


def from_parts(local: str, domain: str) -> Address:
    """Return the address of two halves of LENIENT_MAILBOX; raises `AddressError`."""
    if _octets(local) > MAX_LOCAL:
        raise AddressError(f"expected a local part of at most {MAX_LOCAL} octets")
    if domain[-1] == ".":
        domain = domain[:-1]
    if domain[0] == "[":
        check_literal(domain)
    elif len(domain) > MAX_LABEL or not domain.isascii():
        _canonical(domain)
    return Address(unquote(local) if local[0] == '"' else local, domain)


def local_key(local: str) -> str:
    """Return the canonical form of a local part: case folded, composed (NFC).

    The simple case folding of Unicode maps one character to one, whatever is next to it: a final
    sigma is a sigma, but `ß` is not `ss`, which may be another mailbox.
    """
    if local.isascii():
        return local.lower()
    return normalize("NFC", "".join([_fold(char) for char in normalize("NFC", local)]))


def _fold(char: str) -> str:
    folded = char.casefold()
    return folded if len(folded) == 1 else char.lower()


def domain_key(domain: str) -> str:
    """Return the canonical form of a domain: lower case, A-labels (RFC 5890), no final dot.

    A U-label is mapped as UTS 46 describes. It need not be valid in IDNA 2008: an A-label is not
    decoded and checked either, and both must have the same key. An IPv6 address literal has the
    shortest form of its address.
    """
    try:
        return _canonical_literal(domain) if domain[:1] == "[" else _canonical(domain)
    except ValueError:
        return domain.lower()  # never parsed: made by a plugin


def _canonical_literal(literal: str) -> str:
    key = literal.lower()
    return f"[ipv6:{IPv6Address(key[6:-1])}]" if key[:6] == "[ipv6:" else key


def _canonical(domain: str) -> str:
    """Return the key of a domain name; raises `AddressError` if it is over a limit."""
    key = domain.lower() if domain.isascii() else _to_a_labels(domain)
    if key[-1:] == ".":
        key = key[:-1]
    if len(key) > MAX_LABEL:
        _check_lengths(key)
    return key


def _check_lengths(key: str) -> None:
    if len(key) > MAX_DOMAIN or max([len(label) for label in key.split(".")]) > MAX_LABEL:
        limits = f"{MAX_DOMAIN} octets, and {MAX_LABEL} between dots"
        raise AddressError(f"expected at most {limits}, found {key[:80]!r}")


# An attacker can fill the cache, so it is small: 1024 domains take at most about 1 MB.
@lru_cache(maxsize=1024)
def _to_a_labels(domain: str) -> str:
    if _octets(domain) > MAX_DOMAIN:
        raise AddressError(f"expected a domain of at most {MAX_DOMAIN} octets")
    try:
        mapped = idna.uts46_remap(domain, std3_rules=False)
        # The mapping can yield "@", "/" or a blank.
        if _DOMAIN.fullmatch(mapped):
            return ".".join([_to_a_label(label) for label in mapped.split(".")])
    except ValueError:
        pass
    raise AddressError(f"expected a domain name, found {domain[:80]!r}")


def _to_a_label(label: str) -> str:
    if label.isascii():
        return label
    return _A_LABEL + punycode.encode(label, MAX_LABEL - len(_A_LABEL))


def _octets(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))


def parse_domain(text: str) -> str:
    """Return the key of a domain name, as lists and configuration use it; raises `AddressError`."""
    if not _DOMAIN.fullmatch(text):
        raise AddressError(f"expected a domain name, found {text[:80]!r}")
    return _canonical(text)


def check_literal(literal: str) -> None:
    """Raise `AddressError` unless the text is an address literal (RFC 5321 s4.1.3).

    The forms are `[192.0.2.1]`, `[IPv6:2001:db8::1]` and `[tag:content]`. An IPv6 address without
    the tag is refused. By the grammar `2001` would be a tag, but `[::1]` would have none.
    """
    try:
        if literal[:6].lower() == "[ipv6:":
            _check_ipv6(literal[6:-1])
        elif not _GENERAL_LITERAL.fullmatch(literal) or _is_ipv6(literal[1:-1]):
            IPv4Address(literal[1:-1])
    except AddressValueError as error:
        raise AddressError(f"expected an address literal, found {literal[:80]!r}") from error


def _is_ipv6(text: str) -> bool:
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


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


def without_tag(local: str, separators: str) -> str:
    """Return `user` for `user+tag`; the tag starts at the first of the separators.

    A local part that starts with a separator can have a tag after another one.
    """
    end = len(local)
    for separator in separators:
        at = local.find(separator, 1, end)
        if at >= 0:
            end = at
    return local[:end]
