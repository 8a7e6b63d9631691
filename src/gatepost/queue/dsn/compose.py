"""Notices as messages of the spool's own: from nobody, to a sender, by the router's way.

Limits: RET=FULL is honoured for messages that are no longer than what was read of them anyway, and
in notices of a failure: to others it does not apply (RFC 3461 section 4.3).
"""

import secrets
from collections.abc import Sequence

from gatepost.delivery.routes import Router
from gatepost.model.address import NULL_PATH, Address, domain_key, local_key, without_tag
from gatepost.model.endpoint import Endpoint
from gatepost.model.session import Recipient
from gatepost.queue.dsn.report import About, Action, Fate, notice
from gatepost.queue.retry_policy import RetryPolicy
from gatepost.queue.spool.records import (
    MessageFacts,
    NewMessage,
    NewRecipient,
    RecipientFacts,
    recipient_facts,
)

HERE = Endpoint("local")


class DsnComposer:
    """Writes notices; `router` knows the way to a sender."""

    def __init__(self, terms: RetryPolicy, router: Router) -> None:
        self._terms = terms
        self._router = router

    def write(
        self, action: Action, about: About, fates: Sequence[Fate], facts: MessageFacts, now: float
    ) -> NewMessage:
        """Return a notice about recipients of a message; held if there is no way to its sender."""
        about = about._replace(full=about.full and action == "failed")
        content = notice(action, about, fates, hostname=self._terms.hostname, now=now)
        return NewMessage(
            facts=self._envelope(facts, now),
            recipients=[self._to(facts.reverse_path, now)],
            pieces=[content],
            size=len(content),
            received=now,
            expires=now + self._terms.expire,
            event=now + self._terms.expire,
        )

    def _envelope(self, facts: MessageFacts, now: float) -> MessageFacts:
        international = {} if str(facts.reverse_path).isascii() else {"SMTPUTF8": ""}
        return MessageFacts(
            id=f"{facts.id}-{secrets.token_hex(3)}",
            reverse_path=NULL_PATH,
            params={"BODY": "8BITMIME"} | international,
            received=now,
            session=facts.session,
            peer=HERE,
            local=HERE,
            started=now,
            helo=self._terms.hostname,
            extended=True,
        )

    def reach(self, sender: Address) -> bool:
        """Whether there is a way to a sender."""
        return self._router.route(self._recipient(sender)) is not None

    def _recipient(self, sender: Address) -> Recipient:
        local = local_key(sender.local)
        user = without_tag(local, self._terms.subaddress)
        return Recipient(sender, {}, user, domain_key(sender.domain))

    def _to(self, sender: Address, now: float) -> NewRecipient:
        recipient = self._recipient(sender)
        known, route = recipient_facts(recipient), self._router.route(recipient)
        if route is None:
            return NewRecipient(known, "", None, reason="no route for the sender")
        return NewRecipient(known, route.destination(recipient), now)


def about(
    facts: MessageFacts, original: bytes, *, whole: bool, received: float, until: float
) -> About:
    """Return what a notice says of the message itself; `whole` is whether `original` is all."""
    return About(
        sender=facts.reverse_path,
        ref=facts.id,
        envelope=facts.params.get("ENVID", ""),
        received=received,
        until=until,
        original=original,
        full=whole and facts.params.get("RET", "").upper() == "FULL",
    )


def fate(recipient: RecipientFacts, reply: str, status: str) -> Fate:
    """Return what a notice says of a recipient."""
    kind, _, address = recipient.params.get("ORCPT", "").partition(";")
    original = f"{kind};{address}" if address else ""
    return Fate(recipient.address, original, reply.replace("\n", " / "), status)
