"""The log lines of a session: structured fields only, so that no value can forge a line.

A transaction has one line at its end, made from its record. What must be seen at once has a line of
its own: faults of the server, refusals outside of transactions, logins.

If a level is disabled, an event costs one check: its fields are not assembled.
Limits: `gatepost.session.log_budget` limits the lines about refusals.
"""

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from structlog.typing import FilteringBoundLogger

from gatepost.delivery.target import DeliveryError
from gatepost.ledger.records import Record
from gatepost.log.listed import listed
from gatepost.log.logger import get_logger
from gatepost.log.render import format_traceback
from gatepost.log.struct_log import StructLog
from gatepost.model.auth_attempt import AuthAttempt
from gatepost.model.decision import Verdict
from gatepost.model.edits import Edit
from gatepost.model.endpoint import Endpoint
from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Recipient, Session, Transaction
from gatepost.queue.recorder import DeliveryLog
from gatepost.session.log_budget import LogBudget
from gatepost.session.recorder import Decided, Recorder
from gatepost.session.transaction_log import TransactionLog


class LogRecorder(DeliveryLog, Recorder):
    """Writes one line for each transaction, each refusal outside of one, and each fault."""

    def __init__(self, time: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._log: FilteringBoundLogger = get_logger("gatepost.session").bind()
        self._budget = LogBudget(self._log, time)
        lines = StructLog(self._log, "gatepost.session")
        self._transactions = TransactionLog(lines, self._budget)

    @property
    def sinks(self) -> Sequence[Callable[[Record], None]]:
        """The function that takes records: none if the level hides their lines."""
        return [self._transactions.record] if self._enabled(logging.INFO) else []

    def _enabled(self, level: int) -> bool:
        return self._log.is_enabled_for(level)

    def _may_log(self, session: str = "") -> bool:
        """Return whether a refusal gets a line; `session` is the id, "" if there is no session."""
        return self._enabled(logging.INFO) and self._budget.allows(session)

    def connection_refused(self, ref: str, peer: Endpoint, limit: str, reply: Reply) -> None:
        """Log a connection over a limit."""
        if self._may_log():
            self._log.info("refused", reason=limit, reply=str(reply), ref=ref, peer=str(peer))

    def proxy_refused(self, ref: str, peer: Endpoint, problem: str) -> None:
        """Log a connection without a valid PROXY header."""
        if self._may_log():
            self._log.warning("PROXY header refused", problem=problem, ref=ref, peer=str(peer))

    def early_talker(self, session: Session, reply: Reply) -> None:
        """Log a client that sent data before the greeting."""
        if self._may_log(session.id):
            self._log.info("early talker", **_refusal(session, None, "greeting_delay", reply))

    def tls_failed(self, session: Session, problem: str) -> None:
        """Log a failed TLS handshake."""
        if self._may_log(session.id):
            self._log.info("TLS failed", problem=problem, **_facts(session, None))

    def connection_closed(
        self,
        session: Session,
        received: int,  # noqa: ARG002
        sent: int,  # noqa: ARG002
        *,
        after_quit: bool,  # noqa: ARG002
    ) -> None:
        """Log how many refusals of the session have no line."""
        if self._budget.spent:
            self._budget.end(session.id, str(session.peer))

    def timed_out(
        self, session: Session, tx: Transaction | None, limit: str, reply: Reply | None
    ) -> None:
        """Log a time-out."""
        if self._may_log(session.id):
            self._log.info("timed out", **_refusal(session, tx, limit, reply))

    def command_fault(self, session: Session, tx: Transaction | None, reply: Reply) -> None:
        """Log a refusal of the protocol outside of a transaction."""
        if tx is None and self._may_log(session.id):
            self._log.info("refused", **_refusal(session, tx, "protocol-error", reply))

    def limit_reached(
        self, session: Session, tx: Transaction | None, limit: str, reply: Reply
    ) -> None:
        """Log a session that the server ends."""
        if self._may_log(session.id):
            self._log.info("refused", **_refusal(session, tx, limit, reply))

    def decided(
        self, session: Session, tx: Transaction | None, decided: Decided, reply: Reply
    ) -> None:
        """Log a refusal outside of a transaction: of a connection, a login, a command."""
        answer = decided.answer
        if tx is not None or answer is None or answer.decision.verdict is Verdict.ACCEPT:
            return
        if decided.hook == "mail" or not self._may_log(session.id):
            return
        self._log.info(
            "refused",
            hook=decided.hook,
            by=answer.by,
            reason=answer.decision.reason,
            reply=str(reply),
            **_facts(session, tx),
            **_login(decided.args),
        )

    def authenticated(self, session: Session) -> None:
        """Log the user name of a client that has logged in."""
        if not self._enabled(logging.INFO) or session.auth is None:
            return
        user, mechanism = session.auth.user, session.auth.mechanism
        self._log.info("authenticated", user=user, mechanism=mechanism, **_facts(session, None))

    def session_failed(self, session: Session, tx: Transaction | None, reply: Reply) -> None:
        """Log an internal error with its traceback."""
        trace = format_traceback(sys.exception())
        self._log.error("session failed", reply=str(reply), exception=trace, **_facts(session, tx))

    def storage_failed(self, tx: Transaction, problem: str) -> None:
        """Log content that could not be stored."""
        self._log.error("storage failed", ref=tx.id, error=problem)

    def edited(self, tx: Transaction, message: Message) -> None:
        """Log the signatures that the edits of plugins invalidate."""
        broken = message.broken_signatures
        if broken and self._enabled(logging.WARNING):
            self._log.warning("signature invalidated", ref=tx.id, **listed("signatures", broken))

    def would_have_edited(self, tx: Transaction, edits: Sequence[Edit]) -> None:
        """Log the edits, each with its plugin."""
        if self._enabled(logging.INFO):
            self._log.info("would have edited", ref=tx.id, **listed("edits", edits))

    def not_delivered(self, tx: Transaction, failures: Mapping[Recipient, DeliveryError]) -> None:
        """Log recipients that no target accepted; the first reason stands for all."""
        error = next(iter(failures.values()))
        self._log.warning(
            "not delivered",
            ref=tx.id,
            **listed("recipients", [one.address for one in failures]),
            detail=error.detail,
            permanent=error.permanent,
        )


def _refusal(
    session: Session, tx: Transaction | None, reason: str, reply: Reply | None
) -> dict[str, Any]:
    """Return the fields of a refusal that no plugin decided; a reply cannot always be sent."""
    fields = {"reason": reason, "reply": "" if reply is None else str(reply)}
    return fields | _facts(session, tx)


def _facts(session: Session, tx: Transaction | None) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "ref": session.id if tx is None else tx.id,
        "peer": str(session.peer),
        "helo": session.helo,
    }
    if tx is not None:
        facts["sender"] = str(tx.reverse_path)
        facts |= listed("recipients", [one.address for one in tx.recipients])
    return facts


def _login(args: tuple[Any, ...]) -> dict[str, Any]:
    """Return the user name and mechanism of a login that was refused."""
    match args:
        case (*_, AuthAttempt() as attempt):
            return {"user": attempt.user, "mechanism": attempt.mechanism}
        case _:
            return {}
