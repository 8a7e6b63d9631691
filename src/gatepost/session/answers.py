"""The answers of the core, for its rules and for the steps of commands."""

from collections.abc import Awaitable
from typing import Final

from gatepost.model.decision import Decision, accept, defer, deny
from gatepost.plugin.chain import Answer

CORE: Final = "gatepost"

# The author of refusals by the mail server that asks.
MTA = "mail server"

# The result of a rule, or an awaitable if it has to wait.
Ruling = Answer | Awaitable[Answer | None] | None


def core(decision: Decision) -> Answer:
    """Return a decision of the core as its answer."""
    return Answer(decision, CORE)


# RFC 1870 s6.1 (2)
TOO_BIG: Final = core(
    deny("Message size exceeds the limit", code=552, enhanced="5.3.4", reason="too-big")
)
# RFC 5321 s4.5.3.1.10
TOO_MANY_RECIPIENTS: Final = core(
    defer("Too many recipients", code=452, enhanced="4.5.3", reason="too-many-recipients")
)
TOO_MANY_MESSAGES: Final = core(
    defer(
        "Too many messages on this connection",
        enhanced="4.7.0",
        reason="too-many-messages",
        disconnect=True,
    )
)
# RFC 5321 s3.6.2 and RFC 3463 s3.8
RELAY_DENIED: Final = core(
    deny("Relaying denied: not a domain of this server", enhanced="5.7.1", reason="relay-denied")
)
# Sender-specified routing (user%host, host!user). A next hop that trusts this server may relay it,
# although the domain is local here.
ROUTE_DENIED: Final = core(
    deny(
        "Relaying denied: the local part names another host",
        enhanced="5.7.1",
        reason="relay-denied",
    )
)
# RFC 5321 s4.1.1.11, RFC 3461 s4
DSN_NOT_OFFERED: Final = core(
    deny("DSN is not offered", code=555, enhanced="5.5.4", reason="dsn-not-offered")
)
SUCCESS_DSN_DENIED: Final = core(
    deny(
        "NOTIFY=SUCCESS requires authentication",
        code=555,
        enhanced="5.5.4",
        reason="dsn-success-denied",
    )
)
UNKNOWN_RECIPIENT: Final[Answer] = core(
    deny("No such mailbox", enhanced="5.1.1", reason="unknown-recipient")
)
LOOKUP_FAILED: Final = core(
    defer("Temporary lookup failure", code=451, enhanced="4.3.0", reason="lookup-failed")
)
# The same reply, so that a trap that refuses only itself is not seen to be one.
TRAP_RECIPIENT: Final = core(deny("No such mailbox", enhanced="5.1.1", reason="trap-recipient"))
NO_ROUTE: Final = core(
    defer("No route for this recipient", code=451, enhanced="4.3.5", reason="no-route")
)
# RFC 4954 s6; the reply does not reveal whether the user exists
BAD_CREDENTIALS: Final = core(deny(reason="bad-credentials"))
TOO_MANY_ATTEMPTS: Final = core(
    defer("Too many authentication failures, try again later", reason="too-many-attempts")
)
BUSY: Final = core(defer("Server busy, try again later", reason="busy"))
# RFC 5321 s4.5.1: mail for postmaster is always accepted
POSTMASTER: Final = core(accept(reason="postmaster"))
QUARANTINE: Final = core(accept(reason="quarantined"))
STORAGE: Final = core(
    defer("Insufficient system storage", code=452, enhanced="4.3.1", reason="storage")
)

# RFC 5321 s4.5.3.1: bounds what plugins that read the header block have to handle
HEADER_TOO_LONG: Final = core(
    deny("Header block exceeds the limit", code=552, enhanced="5.3.4", reason="header-too-long")
)

# RFC 5321 s6.3, RFC 3463 X.4.6
TOO_MANY_HOPS: Final = core(
    deny("Too many hops", code=554, enhanced="5.4.6", reason="too-many-hops")
)
MAIL_LOOP: Final = core(
    deny("Mail loops back to this server", code=554, enhanced="5.4.6", reason="mail-loop")
)
