"""Check that the client may send mail for the domain of the sender (SPF, RFC 7208)."""

from gatepost import Address, Decision, Plugin, Reaction, Transaction, ask
from gatepost.mailauth.spf import SpfResult, check_host

# RFC 7372 section 3.2; a record or a DNS that cannot be used has the code of its own.
_ENHANCED = {"permerror": "5.7.24", "temperror": "5.7.24"}
_TEXT = {
    "fail": "SPF: the client is not permitted to send mail for {domain}",
    "softfail": "SPF: the client is probably not permitted to send mail for {domain}",
    "neutral": "SPF: {domain} has no opinion about the client",
    "none": "SPF: {domain} has no SPF record",
    "permerror": "SPF: the record of {domain} is wrong",
    "temperror": "SPF: the record of {domain} cannot be looked up now",
}


class Spf(Plugin):
    """Adds the result `spf`, and decides at MAIL if its options do."""

    uses_dns = True

    class Options(Plugin.Options):
        """The reactions to each result; `pass` has no effect."""

        fail: Reaction = Reaction("none")
        """The record excludes the client (-all)."""
        softfail: Reaction = Reaction("none")
        """The record probably excludes the client (~all)."""
        neutral: Reaction = Reaction("none")
        """The record has no opinion (?all)."""
        none: Reaction = Reaction("none")
        """The domain has no record."""
        permerror: Reaction = Reaction("none")
        """The record is wrong."""
        temperror: Reaction = Reaction("none")
        """The DNS does not answer. "deny" would refuse mail because of that."""
        explain: bool = True
        """Whether the reply to a refusal has the explanation of the domain's owner (exp=)."""
        relays: bool = False
        """Whether clients in networks of `relay_for` of a route are checked too. They forward mail
        of other domains."""

    async def on_mail(self, tx: Transaction, sender: Address) -> Decision | None:
        """Check the domain of the sender, or the HELO name for the null sender."""
        session = tx.session
        if session.auth is not None or (session.in_relay_network and not self.options.relays):
            return None
        explain = self.options.explain and self.options.fail.word != "none"
        check = check_host(
            session.peer.host,
            sender.domain,
            str(sender),
            session.helo,
            receiver=self.server.hostname,
            explain=explain,
            now=int(tx.received),
        )
        return self._react(tx, sender, await ask(check, self.resolver))

    def _react(self, tx: Transaction, sender: Address, found: SpfResult) -> Decision | None:
        reaction: Reaction = getattr(self.options, found.result, Reaction())
        facts = {"mailfrom": str(sender)} if sender else {"helo": tx.session.helo}
        tx.results.add(
            "spf",
            found.result,
            domain=found.domain,
            reason=found.reason,
            score=reaction.score,
            **facts,
        )
        self.metrics.counter("results", result=found.result).inc()
        text = found.explanation or _TEXT.get(found.result, "").format(domain=found.domain)
        enhanced = _ENHANCED.get(found.result, "5.7.23")
        return reaction.decide(text, enhanced=enhanced, reason=f"spf-{found.result}")
