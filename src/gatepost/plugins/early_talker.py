"""Wait before the greeting of unknown clients, and refuse those that do not wait for it.

A mail server waits for the greeting (RFC 5321 section 3.1), many spam programs do not. A client
that has waited is not made to wait again for some days. It is the "pregreet test" of postscreen.

Limits: while a client waits it occupies a connection, see `[limits] connections`.
"""

from ipaddress import ip_network

from gatepost import Decision, Duration, Plugin, Reaction, Session, StoreError
from gatepost.plugins._addresses import IpAddress
from gatepost.plugins._client import outside_address

# A client that talks is noticed at the end of the wait; longer ones would be reported as slow.
LONGEST = 15.0


class EarlyTalker(Plugin):
    """Adds the result `early_talker`: "waited", "known", "early"; "unknown" without the store."""

    # They find out who is to wait.
    after = frozenset({"dnsbl", "dnswl", "geo", "reputation"})

    class Options(Plugin.Options):
        """Options of the wait: its length, its end, and the clients that wait."""

        wait: Duration = Duration("6s")
        """The wait before the greeting, at most 15 seconds."""
        early: Reaction = Reaction("deny")
        """The reaction to a client that sends data before the greeting."""
        keep: Duration = Duration("7d")
        """How long a client that has waited need not wait again."""
        only_suspects: bool = False
        """Whether only clients wait about which other plugins have found something."""
        suspect_results: tuple[str, ...] = ("dnsbl",)
        """The results whose value "listed" makes a client a suspect, as any points do. Suspects
        wait although they are known."""

        def __post_init__(self) -> None:
            if not 0 < self.wait <= LONGEST:
                raise ValueError(f"expected a wait of more than 0 and at most {LONGEST:g} seconds")
            if not self.keep > 0:
                raise ValueError("expected a time to keep of more than 0 seconds")

    async def on_connect(self, session: Session) -> Decision | None:
        """Wait, unless the client is known."""
        address = outside_address(session)
        if address is None or session.xclient is not None or not self._has_to_wait(session):
            return None
        key = _key(address)
        if not self._is_suspect(session) and (passed := await self._passed(key)):
            self._add(session, passed)
            return None
        await self.clock.sleep(self.options.wait)
        if session.has_unread:
            self._add(session, "early", self.options.early.score)
            text = "SMTP protocol violation: data sent before the greeting"
            return self.options.early.decide(text, enhanced="5.5.1", reason="early-talker")
        self._add(session, "waited")
        await self._remember(key)
        return None

    def _has_to_wait(self, session: Session) -> bool:
        """Return whether the results of other plugins leave the client in question."""
        if session.found is None:
            return not self.options.only_suspects
        if session.results.score < 0:
            return False
        return not self.options.only_suspects or self._is_suspect(session)

    def _is_suspect(self, session: Session) -> bool:
        if session.found is None:
            return False
        listed = any(session.results.value(one) == "listed" for one in self.options.suspect_results)
        return listed or session.results.score > 0

    def _add(self, session: Session, value: str, score: float = 0.0) -> None:
        self.metrics.counter("clients", result=value).inc()
        session.results.replace("early_talker", value, score=score)

    async def _passed(self, key: str) -> str:
        """Return "known" for a client that has waited, "" for another one.

        It is "unknown" without the store: if all clients waited, the connections could run out.
        """
        try:
            return "known" if await self.store.get(key) is not None else ""
        except StoreError:
            return "unknown"

    async def _remember(self, key: str) -> None:
        try:
            await self.store.set(key, 1, ttl=self.options.keep)
        except StoreError:
            return


def _key(address: IpAddress) -> str:
    """Return the key of a client: its address, of IPv6 the /64 network."""
    if address.version == 4:
        return str(address)
    return str(ip_network((address, 64), strict=False))
