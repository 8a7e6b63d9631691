"""Verify the DKIM signatures of messages (RFC 6376)."""

from gatepost import Decision, Headers, MessageTransaction, Plugin, Reaction, ask
from gatepost.mailauth.dkim import DkimResult, verify
from gatepost.plugins._signed import signed


class Dkim(Plugin):
    """Adds a result `dkim` for each signature, and decides at the end if its options do."""

    uses_dns = True

    class Options(Plugin.Options):
        """The reactions if no signature of a message passes."""

        none: Reaction = Reaction("none")
        """The message has no signature."""
        fail: Reaction = Reaction("none")
        """No signature passes. Mailing lists break signatures, so a refusal is seldom right."""
        temperror: Reaction = Reaction("none")
        """The key of a signature cannot be looked up now, and no other signature passes."""
        aligned: Reaction = Reaction("none")
        """A signature of the domain in the From field passes, or one of its parent domains.
        A negative number of points is in favour of the message."""

    def on_headers(self, tx: MessageTransaction, _headers: Headers) -> None:
        """Begin to hash the body."""
        if tx.session.auth is None:
            signed(tx)

    async def on_message(self, tx: MessageTransaction) -> Decision | None:
        """Verify the signatures."""
        if tx.session.auth is not None:
            return None
        found = signed(tx)
        found.finish()
        now = self.clock.time()
        results = (
            await ask(verify(found.block, found.signatures, found.hashes, now), self.resolver)
            if found.signatures
            else []
        )
        return self._react(tx, results, found.author.domain)

    def _react(
        self, tx: MessageTransaction, results: list[DkimResult], author: str
    ) -> Decision | None:
        outcome = _outcome(results, author)
        reaction: Reaction = getattr(self.options, outcome, Reaction())
        for number, one in enumerate(results):
            score = 0.0 if number else reaction.score
            _add(tx, one, score)
        if not results:
            tx.results.add("dkim", "none", reason="no signature", score=reaction.score)
        self.metrics.counter("messages", outcome=outcome).inc()
        return reaction.decide(
            f"DKIM: {_REPLIES[outcome]}", enhanced=_ENHANCED[outcome], reason=f"dkim-{outcome}"
        )


# RFC 7372 section 3.1
_ENHANCED = {"none": "5.7.20", "aligned": "5.7.20", "pass": "5.7.20"} | dict.fromkeys(
    ("fail", "temperror"), "5.7.20"
)
_REPLIES = {
    "none": "the message has no signature",
    "fail": "no signature of the message passes",
    "temperror": "no signature can be verified now",
    "aligned": "refused by local policy",
    "pass": "refused by local policy",
}


def _outcome(results: list[DkimResult], author: str) -> str:
    """Return which option applies; "pass" is none of them."""
    passed = [one.domain for one in results if one.result == "pass"]
    if any(f".{author}".endswith(f".{domain}") for domain in passed):
        return "aligned"
    if passed or not results:
        return "pass" if passed else "none"
    return "temperror" if any(one.result == "temperror" for one in results) else "fail"


def _add(tx: MessageTransaction, one: DkimResult, score: float) -> None:
    tx.results.add(
        "dkim",
        one.result,
        domain=one.domain,
        selector=one.selector,
        signature=one.signature,
        reason=one.reason,
        score=score,
    )
