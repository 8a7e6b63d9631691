"""Refuse or score messages with links to domains that are on a DNS list (URIBL, such as SURBL).

The registered domain of each link is looked up: `a.b.example.co.uk` is asked about as
`example.co.uk`, by the public suffix list. `gatepost.plugins._uris` finds the links.

Limits: the first `scan` octets of a message, `most` domains. The public suffix list is that of the
installed package `publicsuffixlist`.
"""

import asyncio
from collections.abc import Iterable, Iterator
from ipaddress import ip_address
from typing import Any

from gatepost import Decision, DomainList, MessageTransaction, Size
from gatepost.plugins._dns_lists import (
    DOMAINS,
    DecidingOptions,
    DnsLists,
    Listing,
    add_results,
    enough,
)
from gatepost.plugins._suffixes import check_installed, load_registered
from gatepost.plugins._uris import find_hosts
from gatepost.plugins._zones import ListPlugin

NAME = "uribl"
# A message with more octets is searched in a thread, because that takes some milliseconds.
SMALL = 65536
# Domains in almost every message, which no list has.
WELL_KNOWN = (
    *("w3.org", "purl.org", "schema.org", "google.com", "googleapis.com", "gstatic.com"),
    *("microsoft.com", "office.com", "apple.com", "mozilla.org", "facebook.com", "twitter.com"),
    *("linkedin.com", "youtube.com", "instagram.com", "paypal.com", "amazon.com", "github.com"),
)


class Uribl(ListPlugin):
    """Asks the lists at the end of each message."""

    class Options(DecidingOptions):
        """`zones` is required."""

        text: str = "Message has a link to {domain}, which is listed in {list}"
        """The reply, with `{domain}` and `{list}`."""
        exempt: DomainList = DomainList(*WELL_KNOWN)
        """Registered domains that are not looked up."""
        addresses: bool = False
        """Whether IP addresses in links are looked up. Some lists answer such queries with
        an error or a false entry."""
        most: int = 20
        """The number of domains that are looked up for a message, one half from its start and
        one half from its end."""
        scan: Size = Size("256KiB")
        """The number of octets at the start of a message in which links are found."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if not 1 <= self.most <= 100:
                raise ValueError(f"most: expected 1 to 100 domains, found {self.most}")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        check_installed()

    async def start(self) -> None:
        """Load the public suffix list, and begin to test the lists."""
        self._registered = await load_registered()
        self._lists = DnsLists(self, DOMAINS)
        self._lists.start()

    async def on_message(self, tx: MessageTransaction) -> Decision | None:
        """Look up the domains of the links, and decide."""
        content = b"".join(_start(tx.message.content(), self.options.scan))
        in_place = len(content) <= SMALL
        hosts = find_hosts(content) if in_place else await asyncio.to_thread(find_hosts, content)
        domains = self._domains(hosts)
        if not domains:
            return None
        pairs = [(zone, domain) for zone in self.options.parsed for domain in domains]
        listings = await self._lists.look_up(pairs, until=enough(self.options.threshold))
        add_results(tx.results, NAME, "domain", listings)
        return await self._lists.decide(listings, self.options, self._text, NAME)

    def _domains(self, hosts: Iterable[str]) -> list[str]:
        """Return what is looked up about hosts: registered domains, and IP addresses."""
        found = list(dict.fromkeys(one for host in hosts for one in self._domain(host)))
        last = self.options.most // 2
        first = self.options.most - last
        return found if len(found) <= first + last else found[:first] + found[len(found) - last :]

    def _domain(self, host: str) -> Iterator[str]:
        if _is_address(host):
            if self.options.addresses:
                yield host
            return
        domain = self._registered(host)
        if domain and domain not in self.options.exempt:
            yield domain

    def _text(self, listing: Listing) -> str:
        return self.options.text.replace("{domain}", listing.what)


def _start(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield the first octets of a content."""
    for piece in pieces:
        yield piece[:size]
        size -= len(piece)
        if size <= 0:
            return


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
