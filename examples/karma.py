"""Defer clients that have behaved badly, also in earlier connections.

    [[plugin]]
    use = "plugins/karma.py"
    on_error = "skip"
    unless = { authenticated = true }
    options = { worst = -20, keep = "2d" }

Each refusal, of a command by the server or a plugin or of malformed input, costs a point. Each
message that is accepted earns two. The points of an address are in the store until `keep` after
its first bad connection.
"""

from gatepost import Decision, Duration, Outcome, Plugin, Reply, Session, Transaction, defer


class Karma(Plugin):
    """Counts points in each session, and adds them to those of the address."""

    class Options(Plugin.Options):
        """`worst` is the number of points from which clients are deferred."""

        worst: int = -20
        keep: Duration = Duration("2d")

    async def on_connect(self, session: Session) -> Decision | None:
        """Defer a client with too few points; raises StoreError."""
        points = int(await self.store.get(session.peer.host) or 0)
        return defer("try again later", reason="karma") if points <= self.options.worst else None

    def after_any(
        self, _hook: str, session: Session, _tx: Transaction | None, outcome: Outcome
    ) -> None:
        """Count a refusal by a rule or a plugin."""
        self._count(session, -1 if outcome.reply.code >= 400 else 0)

    def on_fault(self, session: Session, _tx: Transaction | None, _reply: Reply) -> None:
        """Count a refusal by the protocol."""
        self._count(session, -1)

    def on_delivered(self, tx: Transaction) -> None:
        """Count a message."""
        self._count(tx.session, 2)

    def _count(self, session: Session, points: int) -> None:
        session.notes["karma"] = session.notes.get("karma", 0) + points

    async def on_disconnect(self, session: Session) -> None:
        """Add the points of the session to those of the address."""
        if points := session.notes.get("karma"):
            await self.store.incr(session.peer.host, points, ttl=self.options.keep)
