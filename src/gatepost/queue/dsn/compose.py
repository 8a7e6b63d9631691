"""Delivery status notifications as messages for the spool.

A DSN has the null reverse-path and goes to the sender by a route for the sender's domain. Without
such a route a failure DSN is held for the administrator. Other DSNs are dropped: they need no
action, and would fill the spool.

Limits: RET=FULL is honoured only if the spool has the whole message at hand, and only for failures:
other DSNs never include the content (RFC 3461 section 4.3).
"""

import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from gatepost.model.address import NULL_PATH, Address, domain_key, local_key, without_tag
from gatepost.model.field import make_field
from gatepost.model.session import Recipient
from gatepost.queue.dsn.notify import Action, is_requested, may_notify
from gatepost.queue.dsn.report import ReportedMessage, ReportedRecipient, build_dsn
from gatepost.queue.recorder import DeliveryRecorder
from gatepost.queue.routing import HERE, QueueRouter
from gatepost.queue.schedule import RetryPolicy
from gatepost.queue.spool.records import (
    MessageFacts,
    NewMessage,
    NewRecipient,
    RecipientFacts,
    recipient_facts,
)

SUCCESS = "2.0.0"  # RFC 3463 s2

AddedFields = Callable[[bytes], Sequence[tuple[str, str]]]


class RecipientStatus(NamedTuple):
    """A recipient with the reply, enhanced status code and reason of its last attempt."""

    facts: RecipientFacts
    reply: str
    status: str
    reason: str


class DsnComposer:
    """Composes DSNs; `router` has the routes to senders.

    `added_fields` returns the names and values of header fields for a DSN, such as signatures.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        router: QueueRouter,
        recorder: DeliveryRecorder,
        added_fields: AddedFields,
    ) -> None:
        self._added_fields = added_fields
        self._policy = policy
        self._router = router
        self._recorder = recorder

    def compose(
        self,
        action: Action,
        facts: MessageFacts,
        original: ReportedMessage,
        recipients: Iterable[RecipientStatus],
        now: float,
    ) -> list[NewMessage]:
        """Return a DSN, or nothing if the sender may not get it or did not request it."""
        reported = [
            reported_recipient(one.facts, one.reply, one.status)
            for one in recipients
            if is_requested(one.facts.params, action)
        ]
        if not reported or not may_notify(facts):
            return []
        sender = self._to(facts.reverse_path, now)
        if action != "failed" and not sender.destination:
            self._recorder.dsn_not_queued(facts.id, sender.reason)
            return []
        return [self._compose(action, facts, original, sender, recipients=reported, now=now)]

    def compose_successes(
        self,
        facts: MessageFacts,
        original: ReportedMessage,
        delivered: Iterable[tuple[RecipientFacts, Action]],
        now: float,
    ) -> list[NewMessage]:
        """Return the DSNs about delivered recipients, one for each kind of success."""
        shares: dict[Action, list[RecipientStatus]] = {}
        for one, action in delivered:
            shares.setdefault(action, []).append(RecipientStatus(one, "", SUCCESS, ""))
        return [
            dsn
            for action, share in shares.items()
            for dsn in self.compose(action, facts, original, share, now)
        ]

    def _compose(
        self,
        action: Action,
        facts: MessageFacts,
        original: ReportedMessage,
        sender: NewRecipient,
        *,
        recipients: Sequence[ReportedRecipient],
        now: float,
    ) -> NewMessage:
        original = original._replace(full=original.full and action == "failed")
        content = build_dsn(action, original, recipients, hostname=self._policy.hostname, now=now)
        fields = (make_field(*one, utf8=True) for one in self._added_fields(content))
        content = b"".join(fields) + content
        return NewMessage(
            facts=self._envelope(facts, now),
            recipients=[sender],
            pieces=[content],
            size=len(content),
            received=now,
            expires=now + self._policy.expire,
            event=now + self._policy.expire,
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
            helo=self._policy.hostname,
            extended=True,
        )

    def _to(self, sender: Address, now: float) -> NewRecipient:
        """Return the sender as a recipient; it is held if there is no route."""
        local = local_key(sender.local)
        user = without_tag(local, self._policy.subaddress)
        recipient = Recipient(sender, {}, user, domain_key(sender.domain))
        facts, route = recipient_facts(recipient), self._router.route_to_sender(recipient)
        if route is None:
            return NewRecipient(facts, "", None, reason="no route to the sender")
        return NewRecipient(facts, route.destination(recipient), now)


def reported_message(
    facts: MessageFacts, original: bytes, *, is_whole: bool, received: float, until: float
) -> ReportedMessage:
    """Return the message part of a DSN; `original` is all of it if `is_whole`."""
    return ReportedMessage(
        sender=facts.reverse_path,
        ref=facts.id,
        envelope=facts.params.get("ENVID", ""),
        received=received,
        until=until,
        original=original,
        full=is_whole and facts.params.get("RET", "").upper() == "FULL",
    )


def reported_recipient(recipient: RecipientFacts, reply: str, status: str) -> ReportedRecipient:
    """Return the recipient part of a DSN."""
    kind, _, address = recipient.params.get("ORCPT", "").partition(";")
    original = f"{kind};{address}" if address else ""
    return ReportedRecipient(recipient.address, original, reply.replace("\n", " / "), status)
