"""The keywords that EHLO offers to a client."""

from gatepost.config.schema import LimitsConfig
from gatepost.model.reply import Reply
from gatepost.session.conversation import Conversation
from gatepost.session.steps.dsn import is_offered
from gatepost.wire.smtp.syntax.extensions import ANNOUNCED
from gatepost.wire.smtp.syntax.xclient import KEYWORD

# RFC 3207: offered in the clear only, and only if a listener has certificates.
STARTTLS = "STARTTLS"
# RFC 3461
DSN = "DSN"


def keywords(limits: LimitsConfig) -> tuple[str, ...]:
    """Return the keywords of every client, with their values."""
    values = {
        "SIZE": limits.message_size,
        "LIMITS": f"MAILMAX={limits.transactions} RCPTMAX={limits.recipients}",
    }
    return tuple(f"{word} {values[word]}" if word in values else word for word in ANNOUNCED)


def offered(talk: Conversation) -> tuple[str, ...]:
    """Return the keywords that this client is offered, beyond those of every client."""
    words: tuple[str, ...] = (DSN,) if is_offered(talk) else ()
    if talk.offers_tls:
        words = (*words, STARTTLS)
    if talk.auth is not None and (keyword := talk.auth.keyword(talk.session)):
        words = (*words, keyword)
    return words if talk.admission is None else (*words, KEYWORD)


def offer(talk: Conversation) -> Reply:
    """Return the reply to EHLO, as long as no plugin changes it."""
    more = offered(talk)
    offers = talk.setup.offers
    reply = offers.get(more)
    if reply is None:
        reply = offers[more] = ehlo_reply(talk, [*talk.setup.keywords, *more])
    return reply


def ehlo_reply(talk: Conversation, words: list[str]) -> Reply:
    """Return a reply to EHLO with these keywords."""
    return Reply(250, "\n".join((talk.setup.hostname, *words)))
