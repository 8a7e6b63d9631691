"""Check that the domain in the From field sent the message, and apply its policy (DMARC)."""

from gatepost import Decision, MessageTransaction, Plugin, Reaction, ask
from gatepost.mailauth.dmarc import DmarcResult, Identifier, Record, evaluate_author
from gatepost.plugins._signed import signed

# RFC 7372 section 3.3: several checks failed; DMARC has no code of its own.
_ENHANCED = "5.7.26"
_DEFAULTS = {"adkim": "r", "aspf": "r", "fo": "0", "t": "n", "sp": None, "np": None, "p": None}
_TEXTS = {
    "reject": "DMARC: {domain} asks to refuse mail that it has not authenticated",
    "quarantine": "DMARC: {domain} asks to suspect mail that it has not authenticated",
    "none": "DMARC: the message is not authenticated by {domain}",
    "temperror": "DMARC: the policy of {domain} cannot be looked up now",
    "permerror": "DMARC: the From field is wrong",
}


class Dmarc(Plugin):
    """Adds the result `dmarc`, and decides at the end of the message by the policy of the domain.

    A failure is overridden if a trusted forwarder states that the message had passed (`arc`). While
    the keys of a trusted forwarder cannot be looked up, a refusal is a deferral.
    """

    after = frozenset({"spf", "dkim", "arc"})
    uses_dns = True
    requires = frozenset({"spf", "dkim"})

    class Options(Plugin.Options):
        """The reactions to a message that fails, by the policy of its domain."""

        reject: Reaction = Reaction(8)
        """The policy is reject. RFC 9989 section 7.4: a receiver must not refuse by this alone,
        because mailing lists and forwarders make good mail fail. So by default it is points."""
        quarantine: Reaction = Reaction(4)
        """The policy is quarantine."""
        none: Reaction = Reaction("none")
        """The policy is none."""
        permerror: Reaction = Reaction("none")
        """The From field is missing or wrong, or has addresses of several domains."""
        temperror: Reaction = Reaction("none")
        """The DNS does not answer."""

    async def on_message(self, tx: MessageTransaction) -> Decision | None:
        """Evaluate the message with the results of SPF and DKIM."""
        if tx.session.auth is not None or tx.results.get("spf") is None:
            return None
        check = evaluate_author(signed(tx).author, _identifiers(tx))
        found = await ask(check, self.resolver)
        return self._react(tx, found, overridden=_is_overridden(tx, found))

    def _react(
        self, tx: MessageTransaction, found: DmarcResult, *, overridden: bool
    ) -> Decision | None:
        outcome = found.disposition if found.result == "fail" else found.result
        ignored = overridden or found.result in ("pass", "none")
        reaction = Reaction() if ignored else getattr(self.options, outcome)
        if reaction.word == "deny" and _may_pass_later(tx):
            reaction = Reaction("defer")
        _add(tx, found, reaction, overridden=overridden)
        self.metrics.counter("messages", result=found.result, policy=found.policy or "").inc()
        text = _TEXTS.get(outcome, "").format(domain=found.domain)
        return reaction.decide(text, enhanced=_ENHANCED, reason=f"dmarc-{outcome}")


def _identifiers(tx: MessageTransaction) -> list[Identifier]:
    """Return what SPF and DKIM have found."""
    spf = tx.results["spf"]
    found = [Identifier("spf", str(spf.facts.get("domain", "")), spf.value)]
    for one in tx.results.all("dkim"):
        domain, selector = one.facts.get("domain"), one.facts.get("selector", "")
        if domain:
            found.append(Identifier("dkim", str(domain), one.value, str(selector)))
    return found


def _is_overridden(tx: MessageTransaction, found: DmarcResult) -> bool:
    arc = tx.results.get("arc")
    return found.result == "fail" and arc is not None and arc.facts.get("dmarc") == "pass"


def _may_pass_later(tx: MessageTransaction) -> bool:
    """Return whether a trusted forwarder may override the result once its keys can be looked up."""
    arc = tx.results.get("arc")
    return arc is not None and "temporary" in arc.facts


def _add(
    tx: MessageTransaction, found: DmarcResult, reaction: Reaction, *, overridden: bool
) -> None:
    facts: dict[str, str | float] = {"domain": found.domain, "reason": found.reason}
    facts |= {"organizational_domain": found.organizational_domain, "score": reaction.score}
    if found.policy is not None and found.record is not None:
        facts |= {"policy": found.policy, "record": found.record_domain}
        facts["published"] = _published(found.record)
        facts |= {method: _aligned(found, method) for method in ("spf", "dkim")}
    if found.rua:
        facts["rua"] = " ".join(found.rua)
    if found.result == "fail":
        facts["disposition"] = found.disposition
    if overridden:
        facts["override"] = "trusted forwarder (ARC)"
    if reaction.word == "hold":
        facts["held"] = True
    tx.results.add("dmarc", found.result, **facts)


def _published(record: Record) -> str:
    """Return the text of a record, without addresses: the ledger may hide those."""
    tags = {tag: getattr(record, tag) for tag in ("p", "sp", "np", "adkim", "aspf")}
    tags |= {"fo": ":".join(record.fo), "t": "y" if record.testing else "n"}
    shown = (f"{tag}={value}" for tag, value in tags.items() if value != _DEFAULTS.get(tag))
    return "; ".join(["v=DMARC1", *shown])


def _aligned(found: DmarcResult, method: str) -> str:
    return "pass" if found.is_aligned(method) else "fail"
