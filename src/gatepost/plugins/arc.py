"""Verify the ARC chain of a forwarded message, and believe trusted forwarders (RFC 8617)."""

from collections.abc import Sequence

from gatepost import DomainList, Headers, MessageTransaction, Plugin, ask
from gatepost.mailauth.arc import ArcResult, ArcSet, verify_chain
from gatepost.mailauth.results import ResultsError, parse
from gatepost.plugins._signed import signed


class Arc(Plugin):
    """Adds the result `arc`. It decides nothing: `dmarc` uses the results of trusted forwarders."""

    uses_dns = True

    class Options(Plugin.Options):
        """The forwarders that are trusted."""

        trusted: DomainList = DomainList()
        """Domains of forwarders and mailing lists, as in d= of their seals. What they state about
        a message is believed if its chain passes and they have sealed it last."""

    def on_headers(self, tx: MessageTransaction, _headers: Headers) -> None:
        """Begin to hash the body."""
        if tx.session.auth is None:
            signed(tx)

    async def on_message(self, tx: MessageTransaction) -> None:
        """Verify the chain."""
        found = signed(tx)
        if tx.session.auth is not None or not (found.chain.sets or found.chain.fault):
            return
        found.finish()
        check = verify_chain(found.chain, found.hashes, self.clock.time())
        result = await ask(check, self.resolver)
        self.metrics.counter("messages", result=result.result).inc()
        self._add(tx, result)

    def _add(self, tx: MessageTransaction, result: ArcResult) -> None:
        facts: dict[str, str | int | bool] = {"reason": result.reason}
        if result.sets:
            facts |= {"domain": result.sets[-1].domain, "ip": tx.session.peer.host}
        if result.oldest_pass:
            facts["oldest"] = result.oldest_pass
        if result.result == "pass":
            facts |= self._stated(result.sets)
        elif result.temporary and result.sets[-1].domain in self.options.trusted:
            facts["temporary"] = True
        tx.results.add("arc", result.result, **facts)

    def _stated(self, sets: Sequence[ArcSet]) -> dict[str, str | bool]:
        """Return the DMARC result of the earliest forwarder in an unbroken row of trusted ones."""
        stated: dict[str, str | bool] = {}
        for one in reversed(sets):
            if one.domain not in self.options.trusted:
                break
            stated["trusted"] = True
            result = _dmarc(one)
            if result:
                stated["dmarc"] = result
        return stated


def _dmarc(one: ArcSet) -> str:
    """Return the DMARC result in the statement of a forwarder, "" without one."""
    try:
        methods = parse(one.results).methods
    except ResultsError:
        return ""
    return next((method.result for method in methods if method.method == "dmarc"), "")
