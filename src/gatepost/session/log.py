"""The log lines of a session: structured fields only, so that no value can forge a line.

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
from gatepost.log.listed import listed
from gatepost.log.logger import get_logger
from gatepost.log.render import format_traceback
from gatepost.model.auth_attempt import AuthAttempt
from gatepost.model.decision import Verdict
from gatepost.model.edits import Edit
from gatepost.model.endpoint import Endpoint
from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Change, Recipient, Session, Transaction, TrapHit
from gatepost.queue.recorder import DeliveryLog
from gatepost.session.log_budget import LogBudget
from gatepost.session.recorder import Decided, Recorder

# Characters of a next hop's reply: enough for its queue ID.
MAX_REPLY = 200


class LogRecorder(DeliveryLog, Recorder):
    """Writes one line for each refusal, trap hit, accepted message and fault."""

    def __init__(self, time: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._log: FilteringBoundLogger = get_logger("gatepost.session").bind()
        self._budget = LogBudget(time)

    def _enabled(self, level: int) -> bool:
        return self._log.is_enabled_for(level)

    def _may_log(self, session: str = "") -> bool:
        """Return whether a refusal gets a line; `session` is the id, "" if there is no session."""
        if not self._enabled(logging.INFO):
            return False
        allowed = self._budget.spend(session)
        omitted = self._budget.omitted()
        if omitted:
            self._log.warning("refusals not logged", count=omitted)
        return allowed

    def _end_budget(self, session: Session) -> None:
        """Give the session its lines back; log how many it lacked."""
        omitted = self._budget.reset(session.id)
        if omitted:
            ref, peer = session.id, str(session.peer)
            self._log.warning("refusals not logged", count=omitted, ref=ref, peer=peer)

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
            self._end_budget(session)

    def timed_out(
        self, session: Session, tx: Transaction | None, limit: str, reply: Reply | None
    ) -> None:
        """Log a time-out."""
        if self._may_log(session.id):
            self._log.info("timed out", **_refusal(session, tx, limit, reply))

    def command_fault(self, session: Session, tx: Transaction | None, reply: Reply) -> None:
        """Log a refusal of the protocol."""
        if self._may_log(session.id):
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
        """Log a refusal: what was refused, by which plugin, and why."""
        answer = decided.answer
        if answer is None or answer.decision.verdict is Verdict.ACCEPT:
            return
        if not self._may_log(session.id):
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

    def session_failed(self, session: Session, tx: Transaction | None, reply: Reply) -> None:
        """Log an internal error with its traceback."""
        trace = format_traceback(sys.exception())
        self._log.error("session failed", reply=str(reply), exception=trace, **_facts(session, tx))

    def traps_hit(self, tx: Transaction) -> None:
        """Log each entry that was hit, once, with its list and line and the first address."""
        if not self._enabled(logging.WARNING):
            return
        hits: dict[str, list[TrapHit]] = {}
        for hit in tx.trap_hits:
            hits.setdefault(f"{hit.source}:{hit.line}", []).append(hit)
        for line, (first, *others) in hits.items():
            self._log.warning(
                "trap hit",
                trap=str(first.address),
                entry=first.entry,
                note=first.note,
                list=line,
                hits=1 + len(others),
                sender=str(tx.reverse_path),
                ref=tx.id,
                peer=str(tx.session.peer),
            )

    def trap_shadowed(self, tx: Transaction) -> None:
        """Log a message that would have been refused for its traps."""
        traps = dict.fromkeys(str(hit.address) for hit in tx.trap_hits)
        self._log.warning("trap shadowed", ref=tx.id, **listed("traps", traps))

    def storage_failed(self, tx: Transaction, problem: str) -> None:
        """Log content that could not be stored."""
        self._log.error("storage failed", ref=tx.id, error=problem)

    def edited(self, tx: Transaction, message: Message) -> None:
        """Log the edits of a message, and the signatures that they invalidate."""
        if self._enabled(logging.INFO):
            size = message.full_size
            self._log.info("edited", ref=tx.id, **listed("edits", message.edits), size=size)
        broken = message.broken_signatures
        if broken and self._enabled(logging.WARNING):
            self._log.warning("signature invalidated", ref=tx.id, **listed("signatures", broken))

    def would_have_edited(self, tx: Transaction, edits: Sequence[Edit]) -> None:
        """Log the edits, each with its plugin."""
        if self._enabled(logging.INFO):
            self._log.info("would have edited", ref=tx.id, **listed("edits", edits))

    def recipients_changed(self, tx: Transaction, changes: Sequence[Change]) -> None:
        """Log the changes, each with its plugin."""
        if self._enabled(logging.INFO):
            self._log.info("recipients changed", ref=tx.id, **listed("changes", changes))

    def submitted(self, tx: Transaction, plugin: str, size: int) -> None:
        """Log a message of a plugin."""
        if self._enabled(logging.INFO):
            sender, to = str(tx.reverse_path), [one.address for one in tx.recipients]
            fields = {"plugin": plugin, "sender": sender, **listed("recipients", to), "size": size}
            self._log.info("submitted", ref=tx.id, **fields)

    def accepted(self, tx: Transaction, reply: Reply) -> None:  # noqa: ARG002
        """Log an accepted message."""
        if self._budget.spent:
            self._end_budget(tx.session)
        if not self._enabled(logging.INFO):
            return
        self._log.info(
            "accepted",
            ref=tx.id,
            peer=str(tx.session.peer),
            sender=str(tx.reverse_path),
            **listed("recipients", [one.address for one in tx.recipients]),
            size=0 if tx.message is None else tx.message.size,
            message_id=tx.message_id,
            **_connections(tx),
        )

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


def _connections(tx: Transaction) -> dict[str, Any]:
    """Return the TLS version of the client, and the replies of next hops, as far as there are."""
    fields: dict[str, Any] = {}
    if tx.session.tls is not None:
        fields["tls"] = tx.session.tls.version
    if tx.next_hops:
        replies = [f"{hop}: {reply[:MAX_REPLY]}" for hop, reply in tx.next_hops.items()]
        fields |= listed("next_hops", replies)
    return fields


def _subject(args: tuple[Any, ...]) -> dict[str, Any]:
    """Return the recipient that was refused, or the user name and mechanism of a login."""
    match args:
        case (*_, Recipient() as rcpt):
            return {"recipient": str(rcpt.address)}
        case (*_, AuthAttempt() as attempt):
            return {"user": attempt.user, "mechanism": attempt.mechanism}
        case _:
            return {}
