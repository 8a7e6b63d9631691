"""Check that the domain of the sender can receive mail: it exists, and its mail servers do.

Without that no reply and no bounce can reach the sender. The null sender is not checked.
"""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Literal

from gatepost import (
    Address,
    Decision,
    NoSuchNameError,
    Plugin,
    Reaction,
    ResolveError,
    Transaction,
    together,
)
from gatepost.plugins._addresses import IpAddress, is_bogus, parse_address
from gatepost.plugins._client import ClientCheck, Finding, points


class SenderDomain(ClientCheck):
    """Adds the result `sender_domain`: "pass", "none" for the null sender, or what was found."""

    uses_dns = True

    class Options(Plugin.Options):
        """Reactions by what is found."""

        missing: Reaction = Reaction("deny")
        """The reaction to a domain that does not exist, or has neither MX nor address."""
        null_mx: Reaction = Reaction("deny")
        """The reaction to a domain that receives no mail by its own account (RFC 7505)."""
        bogus: Reaction = Reaction("deny")
        """The reaction to a domain whose mail servers all have addresses that no mail server
        on the Internet has, or that of this server."""
        dangling: Reaction = Reaction(3)
        """The reaction to a domain with MX records whose hosts all have no address."""
        literal: Reaction = Reaction(2)
        """The reaction to an address literal instead of a domain."""
        own: Reaction = Reaction("none")
        """The reaction to a domain of `recipients.domains`, from a client outside that has not
        authenticated. Forwarders send such mail too."""
        temperror: Reaction = Reaction("none")
        """The reaction if the DNS does not answer."""
        hosts: int = 5
        """The number of mail servers of a domain that are looked up, the preferred ones first."""
        decide_at: Literal["mail", "rcpt"] = "rcpt"
        """Where a sender is refused. At "rcpt" the recipients are recorded."""

        def __post_init__(self) -> None:
            if not 1 <= self.hosts <= 20:
                raise ValueError("expected 1 to 20 hosts")

    async def on_mail(self, tx: Transaction, sender: Address) -> Decision | None:
        """Look up the domain, unless the client has authenticated or is in a relay network."""
        session = tx.session
        if session.auth is not None or session.in_relay_network:
            return None
        value = await self._examine(sender, parse_address(session.local.host)) if sender else "none"
        findings = (_FINDINGS[value],) if value in _FINDINGS else ()
        score = points(findings, self.options)
        tx.results.replace("sender_domain", value, domain=sender.domain, score=score)
        self.keep(tx, findings)
        return self.decide_now(tx)

    async def _examine(self, sender: Address, local: IpAddress | None) -> str:
        domain = sender.domain
        if domain.startswith("["):
            return "literal"
        if domain and self.server.is_local(domain):
            return "own"
        if "." not in domain:
            return "missing"
        try:
            return await self._look_up(domain, local)
        except NoSuchNameError:
            return "missing"
        except ResolveError:
            self.metrics.counter("unanswered").inc()
            return "temperror"

    async def _look_up(self, domain: str, local: IpAddress | None) -> str:
        """Return the result of a domain; raises as the resolver does."""
        records = sorted(await self.resolver.mx(domain))
        hosts = [host for _, host in records]
        if hosts and not any(hosts):
            return "null_mx"
        # RFC 5321 s5.1: without an MX record the domain itself is the host
        names = [host for host in hosts if host][: self.options.hosts] or [domain]
        answers = await together(*(self.resolver.addresses(name) for name in names))
        found = [one for one in map(parse_address, _addresses(answers)) if one is not None]
        if any(not is_bogus(one) and one != local for one in found):
            return "pass"
        for answer in answers:
            if isinstance(answer, Exception) and not isinstance(answer, NoSuchNameError):
                raise answer
        if found:
            return "bogus"
        if len(hosts) > len(names):
            return "pass"  # not all were looked up
        return "dangling" if hosts else "missing"


def _addresses(answers: Sequence[object]) -> Iterator[str]:
    for answer in answers:
        if isinstance(answer, list):
            yield from answer


_NO_MAIL = "The sender's domain cannot receive mail"
_FINDINGS = {
    value: Finding(value, text, enhanced, attrgetter(value))
    for value, (enhanced, text) in {
        "missing": ("5.1.8", "The sender's domain does not exist"),
        "null_mx": ("5.7.27", "The sender's domain has a null MX"),  # RFC 7505 s4.2
        "bogus": ("5.1.8", f"{_NO_MAIL}: wrong addresses"),
        "dangling": ("5.1.8", f"{_NO_MAIL}: its mail servers do not exist"),
        "literal": ("5.1.7", "The sender's address has no domain"),
        "own": ("5.7.1", "Authenticate to send as this domain"),
        "temperror": ("5.1.8", "Looking up the sender's domain failed"),
    }.items()
}
