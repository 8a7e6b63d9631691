"""Forward facts that no hook has to plugins: faults, time-outs, limits, TLS.

`NoticeRecorder` is in front of another recorder, and only if a plugin has such a method.
"""

from gatepost.model.endpoint import Endpoint
from gatepost.model.reply import Reply
from gatepost.model.session import Session, Transaction
from gatepost.plugin.notifier import Notifier
from gatepost.session.recorder import Recorder, forward_others

# No limits: the server stops, an administrator ends the session.
_OTHERS = frozenset({"shutdown", "administrator"})


class NoticeRecorder(Recorder):
    """Passes every fact to `inner`, and some to plugins."""

    def __init__(self, inner: Recorder, notifier: Notifier) -> None:
        self.detailed = inner.detailed
        self._inner = inner
        self._notify = notifier.notify
        forward_others(self, inner)

    def connection_refused(self, ref: str, peer: Endpoint, limit: str, reply: Reply) -> None:
        """Forward a connection over a limit."""
        self._inner.connection_refused(ref, peer, limit, reply)
        if limit not in _OTHERS:
            self._notify("limit", peer, limit, reply)

    def limit_reached(
        self, session: Session, tx: Transaction | None, limit: str, reply: Reply
    ) -> None:
        """Forward a session over a limit."""
        self._inner.limit_reached(session, tx, limit, reply)
        if limit not in _OTHERS:
            self._notify("limit", session.peer, limit, reply)

    def early_talker(self, session: Session, reply: Reply) -> None:
        """Forward a client that sent data before the greeting."""
        self._inner.early_talker(session, reply)
        self._notify("early_talker", session, reply)

    def tls_established(self, session: Session) -> None:
        """Forward a completed TLS handshake."""
        self._inner.tls_established(session)
        self._notify("tls", session)

    def tls_failed(self, session: Session, problem: str) -> None:
        """Forward a TLS handshake or record that failed."""
        self._inner.tls_failed(session, problem)
        self._notify("tls_failed", session, problem)

    def timed_out(
        self, session: Session, tx: Transaction | None, limit: str, reply: Reply | None
    ) -> None:
        """Forward a time-out."""
        self._inner.timed_out(session, tx, limit, reply)
        self._notify("timeout", session, limit)

    def command_fault(self, session: Session, tx: Transaction | None, reply: Reply) -> None:
        """Forward a refusal of the protocol."""
        self._inner.command_fault(session, tx, reply)
        self._notify("fault", session, tx, reply)
