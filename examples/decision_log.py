"""Log each refusal with the plugins that were asked and their time, and what no plugin sees.

    [[plugin]]
    use = "plugins/decision_log.py"

Each line has the reference that the client gets in the refusal.
"""

from gatepost import Endpoint, Outcome, Plugin, Reply, Session, Transaction


class DecisionLog(Plugin):
    """Logs refusals of plugins, of the server's rules, and of the protocol."""

    def after_any(
        self, hook: str, session: Session, tx: Transaction | None, outcome: Outcome
    ) -> None:
        """Log a decision."""
        if outcome.answer is not None:
            by, reason = outcome.answer.by, outcome.answer.decision.reason
            times = {one.plugin: f"{one.seconds * 1000:.1f} ms" for one in outcome.asked}
            log = self.log_for(tx or session)
            log.info(
                "decision", hook=hook, reply=str(outcome.reply), by=by, reason=reason, times=times
            )

    def on_fault(self, session: Session, tx: Transaction | None, reply: Reply) -> None:
        """Log malformed input."""
        self.log_for(tx or session).info("protocol error", reply=str(reply))

    def on_timeout(self, session: Session, limit: str) -> None:
        """Log a time-out."""
        self.log_for(session).info("time-out", limit=limit)

    def on_limit(self, peer: Endpoint, limit: str, reply: Reply) -> None:
        """Log a client over a limit."""
        self.log.info("over a limit", peer=peer, limit=limit, reply=str(reply))
