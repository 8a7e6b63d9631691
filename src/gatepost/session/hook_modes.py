"""The points of a session that a protocol never reaches, so that plugins are not called there.

A milter or a policy service has only what the mail server reports. `gatepost check` lists the
methods of plugins that are never called, and the documentation is generated from this table.
"""

from collections.abc import Mapping, Sequence

from gatepost.plugin.hooks import AFTER_ANY, HOOKS, NOTIFICATIONS, QUESTIONS, STAGES

_NO_CONTENT = "the mail server asks about the envelope only"
_ITS_REPLY = "the mail server replies itself, and reports no such command"

# Why a point is never reached, by protocol and hook, question or notification.
NEVER: Mapping[str, Mapping[str, str]] = {
    "smtp": {},
    "lmtp": {},
    "milter": {
        "ehlo": "the mail server offers its own keywords",
        "auth": "the mail server checks passwords: `session.auth` has the user",
        "command": "the mail server has its own commands",
        "vrfy": _ITS_REPLY,
        "help": _ITS_REPLY,
        "noop": _ITS_REPLY,
        "quit": _ITS_REPLY,
        "tls_failed": "the mail server does the handshake",
        "early_talker": "the mail server sends the greeting",
    },
    "policy": {
        "ehlo": "the mail server offers its own keywords",
        "auth": "the mail server checks passwords: `session.auth` has the user",
        "headers": _NO_CONTENT,
        "message": _NO_CONTENT,
        "deliver": _NO_CONTENT,
        "unknown_command": _ITS_REPLY,
        "command": "the mail server has its own commands",
        "vrfy": _ITS_REPLY,
        "help": _ITS_REPLY,
        "noop": _ITS_REPLY,
        "quit": _ITS_REPLY,
        "delivered": "the mail server delivers",
        "timeout": "the mail server ends its sessions",
        "limit": "the mail server has its own limits",
        "tls_failed": "the mail server does the handshake",
        "early_talker": "the mail server sends the greeting",
    },
}


def points() -> Sequence[str]:
    """Return every hook, question and notification, in the order of a session."""
    return (*HOOKS, *QUESTIONS, *NOTIFICATIONS)


def point_of(method: str) -> str:
    """Return the point at which a method of a plugin is called."""
    stage, _, point = method.partition("_")
    return point if stage in STAGES and method != AFTER_ANY else method


def never_called(protocol: str, methods: Sequence[str]) -> list[str]:
    """Return the methods of a plugin that a protocol never calls, in their order."""
    return [one for one in methods if point_of(one) in NEVER[protocol]]
