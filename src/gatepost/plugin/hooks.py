"""The hooks: every point of a session where plugins are asked or told, in one table.

For each hook a plugin may have three methods: `observe_<hook>` runs before any decision, whatever
the order of plugins; `on_<hook>` may answer; `after_<hook>` is told the outcome. Notifications have
`on_<hook>` only, and take no answer.
"""

import msgspec

from gatepost.model.decision import Decision, Verdict
from gatepost.model.reply import Reply


class Hook(msgspec.Struct, frozen=True):
    """One hook: the arguments of its methods, and the replies for a bare deny() and defer()."""

    arguments: str
    deny: Reply
    defer: Reply


_REFUSED = "Refused by local policy"
_LATER = "Refused by local policy for now, try again later"

# RFC 5321 s4.3.2 lists the codes each command may answer; enhanced codes of RFC 3463 s3.8.
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

HOOKS: dict[str, Hook] = {
    "connect": Hook("session", _DENY_CONNECT, _DEFER_CONNECT),
    "helo": Hook("session, name", _DENY_550, _DEFER_450),
    "ehlo": Hook("session, keywords", _DENY_550, _DEFER_450),
    "auth": Hook("session, attempt", _DENY_AUTH, _DEFER_AUTH),
    "mail": Hook("tx, sender", _DENY_550, _DEFER_450),
    "rcpt": Hook("tx, rcpt", _DENY_550, _DEFER_450),
    "data": Hook("tx", _DENY_554, _DEFER_451),
    "headers": Hook("tx, headers", _DENY_554, _DEFER_451),
    "message": Hook("tx", _DENY_554, _DEFER_451),
    "deliver": Hook("tx", _DENY_554, _DEFER_451),
    "unknown_command": Hook("session, verb, text", _DENY_COMMAND, _DEFER_450),
    "vrfy": Hook("session, text", _DENY_550, _DEFER_450),
    "help": Hook("session, text", _DENY_COMMAND, _DEFER_450),
    "noop": Hook("session", _DENY_COMMAND, _DEFER_450),
    "quit": Hook("session", _DENY_COMMAND, _DEFER_450),
}

NOTIFICATIONS: dict[str, str] = {"reset": "tx", "delivered": "tx", "disconnect": "session"}

STAGES = ("observe", "on", "after")


def reply_for(hook: str, decision: Decision) -> Reply:
    """Return the reply for a refusal of `hook`: its own codes and text, or the usual ones."""
    usual = HOOKS[hook].deny if decision.verdict is Verdict.DENY else HOOKS[hook].defer
    code = decision.code or usual.code
    close = decision.disconnect or usual.close
    if decision.verdict is Verdict.DEFER and close and decision.code is None:
        code = 421  # RFC 5321 s3.8: the one code that announces the close
    text = usual.text if decision.text is None else decision.text
    return Reply(code, text, decision.enhanced or usual.enhanced, close=close)
