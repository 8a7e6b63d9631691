"""The log lines of a session: structured fields only, so that no value can forge a line.

If a level is disabled, an event costs one check: its fields are not assembled.
"""

import logging
import sys
from collections.abc import Mapping
from typing import Any

from structlog.typing import FilteringBoundLogger

from gatepost.delivery.target import DeliveryError
from gatepost.log.logger import get_logger
from gatepost.log.render import format_traceback
from gatepost.model.auth_attempt import AuthAttempt
from gatepost.model.decision import Verdict
from gatepost.model.endpoint import Endpoint
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Session, Transaction, TrapHit
from gatepost.queue.recorder import DeliveryLog
from gatepost.session.recorder import Decided, Recorder


class LogRecorder(DeliveryLog, Recorder):
    """Writes one line for each refusal, trap hit, accepted message and fault."""

    def __init__(self) -> None:
        super().__init__()
        self._log: FilteringBoundLogger = get_logger("gatepost.session").bind()

    def _enabled(self, level: int) -> bool:
        return self._log.is_enabled_for(level)

    def proxy_refused(self, peer: Endpoint, problem: str) -> None:
        """Log a connection without a valid PROXY header."""
        self._log.warning("PROXY header refused", peer=str(peer), problem=problem)

    def early_talker(self, session: Session, reply: Reply) -> None:  # noqa: ARG002 - always the same
        """Log a client that sent data before the greeting."""
        self._log.info("early talker", ref=session.id, peer=session.peer.host)

    def tls_failed(self, session: Session, problem: str) -> None:
        """Log a failed TLS handshake."""
        self._log.info("TLS failed", ref=session.id, peer=str(session.peer), problem=problem)

    def timed_out(
        self, session: Session, tx: Transaction | None, limit: str, reply: Reply | None
    ) -> None:
        """Log a time-out."""
        if self._enabled(logging.DEBUG):
            self._log.debug("timed out", limit=limit, reply=str(reply), **_facts(session, tx))

    def command_fault(self, session: Session, tx: Transaction | None, reply: Reply) -> None:
        """Log a command that is malformed or out of sequence."""
        if self._enabled(logging.DEBUG):
            self._log.debug("command fault", reply=str(reply), **_facts(session, tx))

    def limit_reached(
        self, session: Session, tx: Transaction | None, limit: str, reply: Reply
    ) -> None:
        """Log a session that is closed for its errors."""
        if self._enabled(logging.DEBUG):
            self._log.debug("limit reached", limit=limit, reply=str(reply), **_facts(session, tx))

    def decided(
        self, session: Session, tx: Transaction | None, decided: Decided, reply: Reply
    ) -> None:
        """Log a refusal: what was refused, by which plugin, and why."""
        answer = decided.answer
        if answer is None or answer.decision.verdict is Verdict.ACCEPT:
            return
        if not self._enabled(logging.INFO):
            return
        self._log.info(
            "refused",
            hook=decided.hook,
            by=answer.by,
            reason=answer.decision.reason,
            reply=str(reply),
            **_facts(session, tx),
            **_subject(decided.args),
        )

    def authenticated(self, session: Session) -> None:
        """Log the user name of a client that has logged in."""
        if not self._enabled(logging.INFO) or session.auth is None:
            return
        user, mechanism = session.auth.user, session.auth.mechanism
        self._log.info("authenticated", user=user, mechanism=mechanism, **_facts(session, None))

    def session_failed(self, session: Session, tx: Transaction | None) -> None:
        """Log an internal error with its traceback."""
        ref = session.id if tx is None else tx.id
        self._log.error("session failed", ref=ref, exception=format_traceback(sys.exception()))

    def trap_hit(self, tx: Transaction, hit: TrapHit) -> None:
        """Log a trap hit with the list and line of its entry."""
        if not self._enabled(logging.WARNING):
            return
        self._log.warning(
            "trap hit",
            trap=str(hit.address),
            entry=hit.entry,
            note=hit.note,
            list=f"{hit.source}:{hit.line}",
            sender=str(tx.reverse_path),
            ref=tx.id,
            peer=str(tx.session.peer),
        )

    def trap_shadowed(self, tx: Transaction) -> None:
        """Log a message that would have been refused for its traps."""
        traps = [str(hit.address) for hit in tx.trap_hits]
        self._log.warning("trap shadowed", ref=tx.id, traps=traps)

    def storage_failed(self, tx: Transaction, problem: str) -> None:
        """Log content that could not be stored."""
        self._log.error("storage failed", ref=tx.id, error=problem)

    def accepted(self, tx: Transaction) -> None:
        """Log an accepted message."""
        if not self._enabled(logging.INFO):
            return
        self._log.info(
            "accepted",
            ref=tx.id,
            peer=str(tx.session.peer),
            sender=str(tx.reverse_path),
            recipients=[str(one.address) for one in tx.recipients],
            size=0 if tx.message is None else tx.message.size,
        )

    def not_delivered(self, tx: Transaction, failures: Mapping[Recipient, DeliveryError]) -> None:
        """Log recipients that no target accepted; the first reason stands for all."""
        error = next(iter(failures.values()))
        self._log.warning(
            "not delivered",
            ref=tx.id,
            recipients=[str(one.address) for one in failures],
            detail=error.detail,
            permanent=error.permanent,
        )


def _facts(session: Session, tx: Transaction | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "ref": session.id if tx is None else tx.id,
        "peer": str(session.peer),
        "helo": session.helo,
    }
    if tx is not None:
        facts["sender"] = str(tx.reverse_path)
        facts["recipients"] = [str(one.address) for one in (*tx.recipients, *tx.refused)]
    return facts


def _subject(args: tuple[Any, ...]) -> dict[str, Any]:
    """Return the recipient that was refused, or the user name and mechanism of a login."""
    match args:
        case (*_, Recipient() as rcpt):
            return {"recipient": str(rcpt.address)}
        case (*_, AuthAttempt() as attempt):
            return {"user": attempt.user, "mechanism": attempt.mechanism}
        case _:
            return {}
