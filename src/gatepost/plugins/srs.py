"""Forward mail with a sender of this server, and return bounces to the original sender (SRS).

Mail that an alias sends to another provider has a sender whose domain does not permit this server
to send for it, so SPF fails there. The sender becomes an address of `domain` that contains the
original one, signed. A bounce to that address goes back to the original sender.

Trust: see `_srs`. Limits: a sender whose address with SRS would be too long is not rewritten.
"""

from gatepost import (
    Address,
    AddressList,
    Decision,
    Duration,
    Lookup,
    Plugin,
    Recipient,
    Secret,
    Transaction,
    deny,
    local,
    unknown,
)
from gatepost.plugins._srs import DAY, Rewriter, SrsError
from gatepost.plugins._subjects import domain_of

_NAME = "srs"
# The day of an address begins again after 1024 days.
_OLDEST = 1000 * DAY


class Srs(Plugin):
    """Adds the result `srs`: "forwarded" or "returned"."""

    class Options(Plugin.Options):
        """The domain and the secrets."""

        domain: str
        """The domain of rewritten senders, such as "srs.example.com". Its MX is this server."""
        secrets: tuple[Secret, ...]
        """The secrets. The first one signs; addresses that another one has signed are valid too."""
        max_age: Duration = Duration("21d")
        """How long bounces are accepted, in whole days."""
        exempt_senders: AddressList = AddressList()
        """Senders that are not rewritten, besides those of `recipients.domains`."""
        exempt_recipients: AddressList = AddressList()
        """Recipients that get the original sender, besides those of `recipients.domains`."""

        def __post_init__(self) -> None:
            Address.parse(f"x@{self.domain}")
            if not self.secrets or not all(self.secrets):
                raise ValueError("secrets: expected at least one, and none that is empty")
            if not DAY <= self.max_age <= _OLDEST:
                raise ValueError("max_age: expected 1d to 1000d")

    def start(self) -> None:
        """Prepare the secrets."""
        options = self.options
        self._domain = domain_of(Address("x", options.domain))
        self._rewriter = Rewriter(self._domain, options.secrets, int(options.max_age // DAY))

    # Back: bounces to a rewritten sender

    def on_lookup(self, _tx: Transaction, rcpt: Recipient) -> Lookup | None:
        """Return that an address with SRS exists if this server has made it."""
        if rcpt.domain != self._domain:
            return None
        try:
            return None if self._original(rcpt) is None else local()
        except SrsError as error:
            return unknown(str(error))

    def on_rcpt(self, tx: Transaction, rcpt: Recipient) -> Decision | None:
        """Replace an address with SRS by the original sender."""
        if rcpt.domain != self._domain:
            return None
        try:
            original = self._original(rcpt)
        except SrsError as error:
            self.metrics.counter("refused", reason=error.reason).inc()
            return deny(str(error), enhanced="5.1.1", reason=f"srs-{error.reason}")
        if original is not None:
            tx.replace_recipient(rcpt, [original])
            tx.results.add(_NAME, "returned", address=str(original))
            self.metrics.counter("returned").inc()
        return None

    def _original(self, rcpt: Recipient) -> Address | None:
        return self._rewriter.back(rcpt.address, self.clock.time())

    # Forward: when all recipients are final

    def observe_deliver(self, tx: Transaction) -> None:
        """Change the sender for the recipients of other domains."""
        if not tx.reverse_path:
            return
        shares: dict[Address, list[Recipient]] = {}
        for rcpt in tx.recipients:
            sender = tx.sender_of(rcpt)
            if sender and self._is_forwarded(sender, rcpt):
                shares.setdefault(sender, []).append(rcpt)
        for sender, recipients in shares.items():
            self._forward(tx, sender, recipients)

    def _is_forwarded(self, sender: Address, rcpt: Recipient) -> bool:
        """Return whether a sender of another domain writes to a recipient of another domain."""
        options, is_local = self.options, self.server.is_local
        return not (
            is_local(rcpt.domain)
            or is_local(sender.domain)
            or domain_of(sender) == self._domain
            or rcpt.address in options.exempt_recipients
            or sender in options.exempt_senders
        )

    def _forward(self, tx: Transaction, sender: Address, recipients: list[Recipient]) -> None:
        try:
            new = self._rewriter.forward(sender, self.clock.time())
        except SrsError as error:
            self.log_for(tx).warning("sender not rewritten", sender=sender, problem=str(error))
            self.metrics.counter("not_forwarded", reason=error.reason).inc()
            return
        tx.change_sender(new, recipients, dsns=False)
        tx.results.add(_NAME, "forwarded", sender=str(new))
        self.metrics.counter("forwarded").inc(len(recipients))
