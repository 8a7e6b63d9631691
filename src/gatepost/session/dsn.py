"""Who may ask for delivery status notifications: RFC 3461's RET, ENVID, NOTIFY and ORCPT.

The extension is offered to clients that somebody vouches for, and to those that may still log in: a
client need not say EHLO again after AUTH. Until it has, it is not promised a notice of success –
it would have none, see `gatepost.queue.dsn.notify` – but may ask for less than is usual.
There must be a spool to write notices into.

The wire understands the parameters of anybody, so a trap is seen whatever stands behind it.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gatepost.model.trust import is_trusted
from gatepost.plugin.chain import Answer
from gatepost.session import rules

if TYPE_CHECKING:
    from gatepost.session.engine import Engine


def are_offered(engine: "Engine") -> bool:
    """Whether this client is offered DSN."""
    if engine.setup.spool is None:
        return False
    session, auth = engine.session, engine.auth
    return is_trusted(session) or (auth is not None and bool(auth.keyword(session)))


def mail_rule(engine: "Engine", params: Mapping[str, str]) -> Answer | None:
    """Answer the parameters of MAIL."""
    if ("RET" in params or "ENVID" in params) and not are_offered(engine):
        return rules.NOTICES_NOT_OFFERED
    return None


def rcpt_rule(engine: "Engine", params: Mapping[str, str]) -> Answer | None:
    """Answer the parameters of RCPT, all of which are of this extension."""
    if not are_offered(engine):
        return rules.NOTICES_NOT_OFFERED
    if "SUCCESS" in params.get("NOTIFY", "") and not is_trusted(engine.session):
        return rules.NO_NOTICE_OF_SUCCESS
    return None
