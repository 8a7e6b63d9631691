"""Events of the dashboard, in the ledger and in the log: logins, users, changes.

Limits: an event is lost if the ledger process does not take it in time; the log has it too.
"""

import time

from gatepost.ledger.limits import text
from gatepost.ledger.link import NoticeSender
from gatepost.ledger.records import Notice
from gatepost.log.logger import get_logger

_log = get_logger("gatepost.web")


class Audit:
    """Records events; `sender` is the way to the ledger, None without one."""

    def __init__(self, sender: NoticeSender | None) -> None:
        self._sender = sender

    def record(
        self, event: str, user: str, client: str, detail: str = "", at: float | None = None
    ) -> None:
        """Record an event of a user at a client: "dashboard login" and others.

        `detail` is what the user has changed, "" for nothing. `at` is its time if it is not now.
        """
        facts = {"detail": text(detail)} if detail else {}
        _log.info(event, user=text(user), client=client, **facts)
        if self._sender is not None:
            about = f"from {client}: {text(detail)}" if detail else f"from {client}"
            moment = time.time() if at is None else at
            self._sender.send(Notice(moment, event, about, text(user)))
