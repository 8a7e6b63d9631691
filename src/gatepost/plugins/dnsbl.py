"""Refuse or score clients whose address is on a DNS block list (DNSBL).

The lists are asked at MAIL, all at the same time: then it is known whether the client has logged
in, and clients that never send mail cost no question. The decision is that of each recipient.

Trusts: `session.peer`, which is the client also behind a trusted proxy. Limits: addresses in
Received fields are not asked about.
"""

from collections.abc import Iterable
from typing import Literal

from gatepost import Address, Decision, Recipient, Results, Session, Transaction
from gatepost.plugins._addresses import address_of, is_trusted
from gatepost.plugins._dns_lists import (
    ADDRESSES,
    DnsLists,
    EnvelopeOptions,
    Listing,
    add_results,
    enough,
    strongest,
)
from gatepost.plugins._zones import ListPlugin, Zone

NAME = "dnsbl"


class Dnsbl(ListPlugin):
    """Asks the lists once for each client."""

    class Options(EnvelopeOptions):
        """`zones` is required."""

        decide_at: Literal["rcpt", "connect"] = "rcpt"
        """When clients are refused. At "connect" the recipients are not known, and clients
        that would log in are refused too."""
        text: str = "{ip} is listed in {list}"
        """The reply, with `{ip}` and `{list}`. It can have the address of a page."""

    async def start(self) -> None:
        """Begin to test the lists."""
        self._lists = DnsLists(self, ADDRESSES)
        self._lists.start()

    async def on_connect(self, session: Session) -> Decision | None:
        """Ask the lists and decide, with `decide_at = "connect"`."""
        if self.options.decide_at != "connect" or is_trusted(session, self.options.exempt_clients):
            return None
        await self._ask_once(session, session.results)
        return await self._decide(session, self.options)

    async def on_mail(self, tx: Transaction, _sender: Address) -> None:
        """Ask the lists about the client of the first message, for all plugins at RCPT."""
        exempt = is_trusted(tx.session, self.options.exempt_clients)
        if self.options.decide_at == "rcpt" and not exempt:
            await self._ask_once(tx.session, tx.session.results, tx.results)

    async def on_rcpt(self, tx: Transaction, rcpt: Recipient) -> Decision | None:
        """Decide with the options for the recipient."""
        session, options = tx.session, self.options_for(rcpt)
        if self.options.decide_at != "rcpt":
            return None
        if self.name not in session.notes:  # another plugin can have accepted MAIL before this one
            await self.on_mail(tx, tx.reverse_path)
        known = session.notes.get(self.name)
        if known is None or rcpt.user in options.accept_for:
            return None
        if options is not self.options:
            if is_trusted(session, options.exempt_clients):
                return None
            await self._ask_more(session, options)
        return await self._decide(session, options) if any(known.values()) else None

    async def _ask_once(self, session: Session, *places: Results) -> None:
        """Ask the lists about a client, and add the results to `places`."""
        if self.name in session.notes:
            return
        session.notes[self.name] = {}
        found = await self._ask(session, self.options.parsed, self.options.threshold)
        for results in places:
            add_results(results, NAME, "ip", found)

    async def _ask_more(self, session: Session, options: Options) -> None:
        """Ask the lists of a domain that have not been asked yet, unless the others decide."""
        if strongest(self._known(session, options), options.threshold) is None:
            await self._ask(session, options.parsed, options.threshold)

    async def _ask(
        self, session: Session, zones: Iterable[Zone], threshold: float
    ) -> list[Listing]:
        known = session.notes[self.name]
        pairs = [(one, address_of(session)) for one in zones if one.name not in known]
        found = await self._lists.look_up(pairs, until=enough(threshold))
        known.update({one.zone.name: one.answers for one in found})
        return found

    def _known(self, session: Session, options: Options) -> list[Listing]:
        """Return what lists have answered, with the reactions of these options."""
        known = session.notes[self.name]
        found = [(zone, known.get(zone.name)) for zone in options.parsed]
        return [Listing(zone, address_of(session), answers) for zone, answers in found if answers]

    async def _decide(self, session: Session, options: Options) -> Decision | None:
        def text(listing: Listing) -> str:
            return options.text.replace("{ip}", listing.what)

        return await self._lists.decide(self._known(session, options), options, text, NAME)
