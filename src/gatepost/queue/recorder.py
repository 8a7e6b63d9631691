"""The interface for the results of the queue: a method for each fact, and its log lines.

A recorder is called between two steps of the event loop: it must not wait, and it should not raise.
`gatepost.session.recorder` adds the facts of sessions.
"""

import logging
from collections.abc import Sequence

from structlog.typing import FilteringBoundLogger

from gatepost.delivery.target import DeliveryError
from gatepost.log.listed import listed
from gatepost.log.logger import get_logger
from gatepost.model.session import Hold, Recipient
from gatepost.queue.spool.changes import Change
from gatepost.queue.spool.records import MessageFacts, RecipientFacts


class DeliveryRecorder:
    """Receives every result and does nothing with it: override the methods you need."""

    def delivered(
        self, facts: MessageFacts, destination: str, recipients: Sequence[RecipientFacts]
    ) -> None:
        """Record recipients whose mail a target has accepted from the queue."""

    def deferred(
        self, facts: MessageFacts, destination: str, recipient: RecipientFacts, error: DeliveryError
    ) -> None:
        """Record a failed attempt that will be retried."""

    def bounced(
        self, facts: MessageFacts, recipient: RecipientFacts, reply: str, reason: str
    ) -> None:
        """Record a recipient that has failed; the sender gets a DSN unless it refused DSNs."""

    def held(self, facts: MessageFacts, recipient: RecipientFacts, reply: str, reason: str) -> None:
        """Record a recipient that has failed; it is held, because the sender may not get a DSN."""

    def quarantined(self, facts: MessageFacts, recipients: Sequence[Recipient], hold: Hold) -> None:
        """Record a message that a plugin or the core holds for all its recipients."""

    def changed(self, change: Change) -> None:
        """Record what an administrator has done with a message, or its end in quarantine."""

    def message_damaged(self, facts: MessageFacts, problem: str) -> None:
        """Record a message that is held because its content in the spool is damaged."""

    def dsn_not_queued(self, ref: str, problem: str) -> None:
        """Record a DSN of success or delay that was not queued; `ref` is a transaction's."""


class DeliveryLog(DeliveryRecorder):
    """Writes a log line for each result."""

    def __init__(self) -> None:
        self._queue_log: FilteringBoundLogger = get_logger("gatepost.queue").bind()

    def delivered(
        self, facts: MessageFacts, destination: str, recipients: Sequence[RecipientFacts]
    ) -> None:
        """Log delivered recipients."""
        if self._queue_log.is_enabled_for(logging.INFO):
            addresses = listed("recipients", [one.address for one in recipients])
            self._queue_log.info("delivered", ref=facts.id, to=destination, **addresses)

    def deferred(
        self, facts: MessageFacts, destination: str, recipient: RecipientFacts, error: DeliveryError
    ) -> None:
        """Log an attempt that will be retried."""
        if self._queue_log.is_enabled_for(logging.INFO):
            self._queue_log.info(
                "delivery deferred",
                ref=facts.id,
                to=destination,
                recipient=str(recipient.address),
                reply=str(error.as_reply()),
                detail=error.detail,
            )

    def bounced(
        self, facts: MessageFacts, recipient: RecipientFacts, reply: str, reason: str
    ) -> None:
        """Log a failed recipient."""
        self._queue_log.warning("bounced", **_failure(facts, recipient, reply, reason))

    def held(self, facts: MessageFacts, recipient: RecipientFacts, reply: str, reason: str) -> None:
        """Log a held recipient."""
        self._queue_log.warning("held", **_failure(facts, recipient, reply, reason))

    def quarantined(self, facts: MessageFacts, recipients: Sequence[Recipient], hold: Hold) -> None:
        """Log a message in quarantine."""
        if self._queue_log.is_enabled_for(logging.INFO):
            addresses = listed("recipients", [one.address for one in recipients])
            sender = str(facts.reverse_path)
            self._queue_log.info(
                "quarantined", ref=facts.id, sender=sender, **addresses, **_as_fields(hold)
            )

    def changed(self, change: Change) -> None:
        """Log a change of an administrator."""
        self._queue_log.info(
            "queue changed",
            change=change.kind,
            ref=change.ref,
            sender=change.sender,
            **listed("recipients", change.recipients),
            **({"by": change.author} if change.author else {}),
            detail=change.detail,
        )

    def message_damaged(self, facts: MessageFacts, problem: str) -> None:
        """Log a damaged message."""
        self._queue_log.error("damaged message held", ref=facts.id, problem=problem)

    def dsn_not_queued(self, ref: str, problem: str) -> None:
        """Log a DSN that could not be queued."""
        self._queue_log.warning("DSN not queued", ref=ref, detail=problem)


def _as_fields(hold: Hold) -> dict[str, str]:
    return {"reason": hold.reason, "plugin": hold.by}


def _failure(
    facts: MessageFacts, recipient: RecipientFacts, reply: str, reason: str
) -> dict[str, str]:
    return {
        "ref": facts.id,
        "sender": str(facts.reverse_path),
        "recipient": str(recipient.address),
        "reply": reply,
        "detail": reason,
    }
