"""Which clients may ask for delivery status notifications: RFC 3461's RET, ENVID, NOTIFY, ORCPT.

DSN is offered to trusted clients, and to clients that may still log in: a client need not repeat
EHLO after AUTH. Before AUTH it may ask for fewer notifications than usual, but not for one of
success: it would not get it, see `gatepost.queue.dsn.notify`. Without a queue DSN is not offered.

The wire parses the parameters for every client, so that a trap is seen whatever follows it.
"""

from collections.abc import Mapping

from gatepost.model.trust import is_trusted
from gatepost.plugin.chain import Answer
from gatepost.session import answers
from gatepost.session.conversation import Conversation


def is_offered(talk: Conversation) -> bool:
    """Return whether this client is offered DSN."""
    if talk.setup.queue is None:
        return False
    session, auth = talk.session, talk.auth
    return is_trusted(session) or (auth is not None and bool(auth.keyword(session)))


def mail_rule(talk: Conversation, params: Mapping[str, str]) -> Answer | None:
    """Check the parameters of MAIL."""
    if ("RET" in params or "ENVID" in params) and not is_offered(talk):
        return answers.DSN_NOT_OFFERED
    return None


def rcpt_rule(talk: Conversation, params: Mapping[str, str]) -> Answer | None:
    """Check the parameters of RCPT."""
    if not ("NOTIFY" in params or "ORCPT" in params):
        return None  # a plugin's
    if not is_offered(talk):
        return answers.DSN_NOT_OFFERED
    if "SUCCESS" in params.get("NOTIFY", "") and not is_trusted(talk.session):
        return answers.SUCCESS_DSN_DENIED
    return None
