"""Defer the first attempt of a client to send to a recipient (greylisting, RFC 6647).

    [[plugin]]
    use = "plugins/greylist.py"
    on_error = "skip"
    unless = { authenticated = true, results = { spf = "pass" } }
    options = { delay = "5m", keep = "36d" }

A client that tries again after `delay` is accepted, and its next messages too. A client is its
network (/24, with IPv6 /64), because large senders try again from another address. The state is in
the store. With `on_error = "skip"` an outage of the store does not defer all mail.
"""

from ipaddress import ip_network

from gatepost import Decision, Duration, Plugin, Recipient, Transaction, defer


class Greylist(Plugin):
    """Defers recipients of unknown pairs of client and sender."""

    class Options(Plugin.Options):
        """`delay` is the time that must pass, `keep` how long a pair is kept without mail."""

        delay: Duration = Duration("5m")
        keep: Duration = Duration("36d")

    async def on_rcpt(self, tx: Transaction, rcpt: Recipient) -> Decision | None:
        """Defer the recipient, unless the first attempt was early enough; raises StoreError."""
        host, now = tx.session.peer.host, int(self.clock.time())
        network = ip_network((host, 64 if ":" in host else 24), strict=False)
        key = f"{network} {tx.reverse_path} {rcpt.address}"
        first = int(await self.store.get(key) or now)
        await self.store.set(key, first, ttl=self.options.keep)
        is_early = now - first < self.options.delay
        return defer("greylisted, try again later", reason="greylist") if is_early else None
