"""Refuse clients by the sum of their points on DNS lists (DNSBL and DNSWL).

    [[plugin]]
    use = "plugins/dns_lists.py"
    unless = { authenticated = true }
    options = { lists = { "zen.spamhaus.org" = 5, "list.dnswl.org" = -5 }, limit = 5 }

A list that refuses has positive points, a list of good clients negative ones. All are looked up at
the same time, before the greeting. A list without an answer has no effect on the sum.
"""

import asyncio

from gatepost import Address, Decision, Plugin, ResolveError, Session, Transaction, deny


class DnsLists(Plugin):
    """Adds a result with the points of the client, and refuses MAIL at the limit."""

    class Options(Plugin.Options):
        """`lists` has the points of each list, `limit` the sum from which MAIL is refused."""

        lists: dict[str, float]
        limit: float = 5.0

    async def on_connect(self, session: Session) -> None:
        """Look the client up in all lists."""
        found = await asyncio.gather(*(self._listed(session, zone) for zone in self.options.lists))
        session.notes["dns_lists"] = dict(zip(self.options.lists, found, strict=True))

    async def _listed(self, session: Session, zone: str) -> bool:
        try:
            return await self.resolver.listed(session.peer, zone) is not None
        except ResolveError as error:
            self.log.warning("list unavailable", zone=zone, problem=str(error))
            return False

    def on_mail(self, tx: Transaction, _sender: Address) -> Decision | None:
        """Add the points to the results of the message; refuse a client with too many."""
        zones = [zone for zone, listed in tx.session.notes["dns_lists"].items() if listed]
        score = sum(self.options.lists[zone] for zone in zones)
        tx.results.add("dns_lists", "listed" if zones else "none", score=score)
        if score < self.options.limit:
            return None
        return deny(f"client is listed in {', '.join(zones)}", reason="dns_lists")
