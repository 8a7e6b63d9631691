"""Subjects of entries: the mail of a client network, a domain, a sender, or to a recipient.

The text of a subject is canonical: a network such as `192.0.2.0/24`, a domain such as
`example.com`, an address, or `to:` with the address of a recipient.

Security: a domain and a sender count only if they are proven (`gatepost.plugin.lifting`). A client
can use every address of its IPv6 network, so a single IPv6 address stands for its /64. Subjects
that allow more than an administrator would expect have objections or warnings.
"""

from collections.abc import Iterator
from enum import Enum
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

import msgspec

from gatepost.log.printable import printable
from gatepost.model.address import Address, AddressError, parse_domain
from gatepost.traps.organisations import is_shared_name

if TYPE_CHECKING:
    from gatepost.lists.providers import Providers

EXPECTED = (
    "expected an IP address, a network, a domain, a sender's address, or to: with the address of a"
    " recipient"
)
# A shorter prefix is an objection.
WIDEST = {4: 16, 6: 32}
_TO = "to:"
_LONGEST = 1000


class SubjectError(ValueError):
    """The text is no subject; the message has what was expected."""


class Kind(Enum):
    """The kinds of subjects; the value is what an entry allows, as a sentence goes on."""

    CLIENT = "mail of the clients in"
    DOMAIN = "mail that SPF or DKIM has proven to be of"
    SENDER = "mail that SPF has proven to be of the sender"
    RECIPIENT = "mail to"


class Subject(msgspec.Struct, frozen=True):
    """A subject: its kind, and its text without `to:`."""

    kind: Kind
    key: str

    def __str__(self) -> str:
        return f"{_TO}{self.key}" if self.kind is Kind.RECIPIENT else self.key

    @property
    def about(self) -> str:
        """The mail that the subject allows, in words."""
        more = " and the domains below it" if self.kind is Kind.DOMAIN else ""
        return f"{self.kind.value} {self.key}{more}"

    def objections(self) -> Iterator[str]:
        """Yield why the subject is too wide, if it is."""
        network = self.network
        if network is not None and network.prefixlen < WIDEST[network.version]:
            least = WIDEST[network.version]
            yield f"{self.key} is a very wide network: expected a prefix of at least /{least}"
        if self.kind is Kind.DOMAIN and is_shared_name(self.key):
            yield f"many organisations register names below {self.key}"

    def warnings(self) -> Iterator[str]:
        """Yield what else is allowed with the subject."""
        if self.kind in (Kind.CLIENT, Kind.DOMAIN) and self._is_of_provider():
            yield f"{self.key} is of a big provider: mail of all its customers is allowed too"
        if self.kind is Kind.RECIPIENT:
            yield f"all spam to {self.key} is allowed too"

    @property
    def network(self) -> IPv4Network | IPv6Network | None:
        """The network of clients, None for other kinds."""
        return ip_network(self.key) if self.kind is Kind.CLIENT else None

    def _is_of_provider(self) -> bool:
        network = self.network
        if network is None:
            return self.key in _providers().suffixes or f"x.{self.key}" in _providers().suffixes
        return _providers().networks.find(network.network_address) is not None


def parse_subject(text: str) -> Subject:
    """Return the subject of a text; raises `SubjectError`."""
    text = text.strip()
    if not text or len(text) > _LONGEST:
        raise SubjectError(f"{EXPECTED}, found {_quoted(text)}")
    if text[: len(_TO)].lower() == _TO:
        return Subject(Kind.RECIPIENT, _address(text[len(_TO) :]))
    if "@" in text[1:]:
        return Subject(Kind.SENDER, _address(text))
    if text[0] != "@" and _looks_like_network(text):
        return Subject(Kind.CLIENT, _network(text))
    return Subject(Kind.DOMAIN, _domain(text.removeprefix("@")))


def _looks_like_network(text: str) -> bool:
    return "/" in text or ":" in text or text.replace(".", "").isdigit()


def _network(text: str) -> str:
    try:
        if "/" not in text:
            return str(_network_of(text))
        network = ip_network(text, strict=False)
    except ValueError:
        raise SubjectError(f"{EXPECTED}, found {_quoted(text)}") from None
    if network.network_address != ip_address(text.partition("/")[0]):
        raise SubjectError(
            f"expected a network without bits behind the prefix: did you mean {network}?"
        )
    return str(network)


def _network_of(text: str) -> IPv4Network | IPv6Network:
    """Return the network of an address; raises ValueError."""
    address = ip_address(text)
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return ip_network((address, 32 if address.version == 4 else 64), strict=False)


def _address(text: str) -> str:
    try:
        return Address.parse(text).key
    except AddressError as error:
        raise SubjectError(str(error)) from None


def _domain(text: str) -> str:
    try:
        domain = parse_domain(text)
    except AddressError:
        domain = ""
    if "." not in domain:
        raise SubjectError(f"{EXPECTED}, found {_quoted(text)}")
    return domain


def _quoted(text: str) -> str:
    return f"'{printable(text[:80])}'"


@cache
def _providers() -> "Providers":
    from gatepost.lists.providers import load_providers  # noqa: PLC0415 - only for new entries

    return load_providers()
