"""What a session writes to the log: structured fields only, so that no value can forge a line.

Where a level is not logged, an event costs one question: its fields are not put together, and the
policy's logger is a bound one, which structlog need not look up again.
"""

import logging
from typing import TYPE_CHECKING, Any

from gatepost.model.auth_attempt import AuthAttempt
from gatepost.model.reply import Reply
from gatepost.model.session import AuthFacts, Transaction, TrapHit
from gatepost.plugin.chain import Answer

if TYPE_CHECKING:
    from gatepost.session.engine import Engine


def _who(engine: "Engine") -> dict[str, Any]:
    session, tx = engine.session, engine.tx
    facts: dict[str, Any] = {
        "ref": engine.reference,
        "peer": str(session.peer),
        "helo": session.helo,
    }
    if tx is not None:
        facts["sender"] = str(tx.reverse_path)
        facts["recipients"] = [str(one.address) for one in (*tx.recipients, *tx.refused)]
    return facts


def _user(args: tuple[Any, ...]) -> dict[str, Any]:
    """Return who a client says it is, where that is what was refused."""
    attempt = args[-1] if args else None
    if not isinstance(attempt, AuthAttempt):
        return {}
    return {"user": attempt.user, "mechanism": attempt.mechanism}


def log_refusal(
    engine: "Engine", hook: str, answer: Answer, reply: Reply, args: tuple[Any, ...]
) -> None:
    """Log who was refused what, by whom and why; `args` are the hook's."""
    log = engine.setup.log
    if not log.is_enabled_for(logging.INFO):
        return
    facts = _who(engine) | _user(args)
    reason = answer.decision.reason
    log.info("refused", hook=hook, by=answer.by, reason=reason, reply=str(reply), **facts)


def log_authenticated(engine: "Engine", auth: AuthFacts) -> None:
    """Log who a client is now."""
    log = engine.setup.log
    if not log.is_enabled_for(logging.INFO):
        return
    log.info("authenticated", user=auth.user, mechanism=auth.mechanism, **_who(engine))


def log_trap(engine: "Engine", tx: Transaction, hit: TrapHit) -> None:
    """Log that a recipient is a trap, and which entry of which list says so."""
    log = engine.setup.log
    if not log.is_enabled_for(logging.WARNING):
        return
    log.warning(
        "trap hit",
        trap=str(hit.address),
        entry=hit.entry,
        note=hit.note,
        list=f"{hit.source}:{hit.line}",
        sender=str(tx.reverse_path),
        ref=tx.id,
        peer=str(engine.session.peer),
    )


def log_shadow(engine: "Engine", tx: Transaction) -> None:
    """Log that a message would have been refused for its traps."""
    traps = [str(hit.address) for hit in tx.trap_hits]
    engine.setup.log.warning("trap shadowed", ref=tx.id, traps=traps)


def log_accepted(engine: "Engine", tx: Transaction) -> None:
    """Log a message that was taken."""
    log = engine.setup.log
    if not log.is_enabled_for(logging.INFO):
        return
    log.info(
        "accepted",
        ref=tx.id,
        peer=str(tx.session.peer),
        sender=str(tx.reverse_path),
        recipients=[str(one.address) for one in tx.recipients],
        size=0 if tx.message is None else tx.message.size,
    )
