"""The hooks: the points of a session at which plugins run, in the order of a session.

A plugin can have three methods for a hook. `observe_<hook>` runs before any decision, for
every plugin. `on_<hook>` can decide. `after_<hook>` receives the outcome. A notification has
`on_<hook>` only, and takes no decision. A question has `on_<question>` only. `after_any` follows
every hook. `gatepost.plugin.methods` declares all of them.
"""

from typing import Final

import msgspec

from gatepost.model.decision import Decision, Verdict
from gatepost.model.reply import RecipientReplies, Reply


class Hook(msgspec.Struct, frozen=True):
    """One hook: the replies for a bare deny() and defer(), and the codes that accept() may have.

    The first code is the usual one. Without codes accept() has no text: the hook has no reply.
    """

    deny: Reply
    defer: Reply
    codes: tuple[int, ...] = ()


_DENY: Final = Verdict.DENY
_DEFER: Final = Verdict.DEFER

_REFUSED = "Refused by local policy"
_LATER = "Refused by local policy for now, try again later"

# RFC 5321 s4.3.2 lists the reply codes of each command; enhanced codes of RFC 3463 s3.8.
_DENY_554 = Reply(554, _REFUSED, "5.7.1")
_DENY_550 = Reply(550, _REFUSED, "5.7.1")
_DEFER_450 = Reply(450, _LATER, "4.7.1")
_DEFER_451 = Reply(451, _LATER, "4.7.1")
_DENY_CONNECT = Reply(554, _REFUSED, "5.7.1", close=True)
_DEFER_CONNECT = Reply(421, _LATER, "4.7.0", close=True)
_DENY_COMMAND = Reply(500, "Command not recognised", "5.5.1")
# RFC 4954 s6
_DENY_AUTH = Reply(535, "Authentication credentials invalid", "5.7.8")
_DEFER_AUTH = Reply(454, "Temporary authentication failure", "4.7.0")

# The codes of a command that a plugin adds.
ANY_2XX = (250, *range(200, 250), *range(251, 300))

HOOKS: Final[dict[str, Hook]] = {
    "connect": Hook(_DENY_CONNECT, _DEFER_CONNECT, (220,)),
    "helo": Hook(_DENY_550, _DEFER_450, (250,)),
    "ehlo": Hook(_DENY_550, _DEFER_450),
    "auth": Hook(_DENY_AUTH, _DEFER_AUTH, (235,)),
    "mail": Hook(_DENY_550, _DEFER_450, (250,)),
    "rcpt": Hook(_DENY_550, _DEFER_450, (250, 251, 252)),
    "data": Hook(_DENY_554, _DEFER_451, (354,)),
    "headers": Hook(_DENY_554, _DEFER_451),
    "message": Hook(_DENY_554, _DEFER_451, (250,)),
    "deliver": Hook(_DENY_554, _DEFER_451, (250,)),
    "unknown_command": Hook(
        _DENY_COMMAND, _DEFER_450, (250, 211, 214, 220, 221, 251, 252, 253, 259)
    ),
    "command": Hook(_DENY_COMMAND, _DEFER_450, ANY_2XX),
    "vrfy": Hook(_DENY_550, _DEFER_450, (250, 251, 252)),
    "help": Hook(_DENY_COMMAND, _DEFER_450, (214, 211)),
    "noop": Hook(_DENY_COMMAND, _DEFER_450, (250,)),
    "quit": Hook(_DENY_COMMAND, _DEFER_450, (221,)),
}

# The hooks at which plugins may edit the message.
EDITING = frozenset({"headers", "message", "deliver"})
# The hooks at which they may change recipients and delivery; the first argument is the transaction.
# At MAIL the transaction is not the session's yet, but it is the same.
ACTING = frozenset({"mail", "rcpt", "data"}) | EDITING
# The hooks at which a decision may be about some recipients: the reply comes after the content.
SELECTIVE = frozenset({"headers", "message"})

# The hooks at which a plugin may hold all messages of the session, or the one of the transaction;
# when the delivery begins it is too late.
HOLDING = frozenset({"connect", "helo", "ehlo", "auth"}) | ACTING - {"deliver"}

# The methods that answer a question of the core's rules, in place of a decision.
QUESTIONS = ("lookup", "own_mail")

# Notifications of what no hook has, because the core decided before any plugin.
FACTS = ("fault", "timeout", "limit", "tls", "tls_failed", "early_talker")

# "learn" is for the command `gatepost queue learn` only.
NOTIFICATIONS = ("reset", "delivered", "disconnect", "learn", *FACTS)

# Called after every hook.
AFTER_ANY = "after_any"

STAGES = ("observe", "on", "after")

METHODS = (
    *(f"{stage}_{hook}" for hook in HOOKS for stage in STAGES),
    AFTER_ANY,
    *(f"on_{question}" for question in QUESTIONS),
    *(f"on_{notification}" for notification in NOTIFICATIONS),
)


def accepting(usual: Reply, decision: Decision | None, base: Reply | None = None) -> Reply:
    """Return the reply that accepts: the usual one, or `base` with the text and codes of accept().

    Without `base` these replace parts of the usual reply.
    """
    if decision is None or (decision.text is None and decision.code is None):
        return usual
    base = base or usual
    if isinstance(base, RecipientReplies):
        each = [accepting(one, decision) if one.code < 400 else one for one in base.each]
        return RecipientReplies(each)
    text = base.text if decision.text is None else decision.text
    return base.reworded(decision.code or base.code, text, decision.enhanced or base.enhanced)


def reply_for(hook: str, decision: Decision) -> Reply:
    """Return the reply for a refusal: its own codes and text, or those of the hook."""
    row = HOOKS[hook]
    default = row.deny if decision.verdict is _DENY else row.defer
    code = decision.code or default.code
    close = decision.disconnect or default.close
    if decision.verdict is _DEFER and close and decision.code is None:
        code = 421  # RFC 5321 s3.8: the only code that announces the close
    text = default.text if decision.text is None else decision.text
    return Reply(code, text, decision.enhanced or default.enhanced, close=close)
