"""An SMTP receiver that decides while the sender is still connected.

Everything public is named here; `gatepost.testing` has what tests of plugins need. A name is
imported when it is first used, so that a command that needs little starts fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from gatepost._version import __version__

if TYPE_CHECKING:
    from gatepost.config.load import from_dict, load
    from gatepost.config.problem import ConfigError
    from gatepost.config.schema import Config
    from gatepost.model.address import Address, AddressError
    from gatepost.model.auth_attempt import AuthAttempt
    from gatepost.model.decision import Decision, Verdict, accept, defer, deny
    from gatepost.model.endpoint import Endpoint
    from gatepost.model.headers import Headers
    from gatepost.model.message import Message
    from gatepost.model.reply import Reply
    from gatepost.model.session import AuthFacts, Recipient, Session, TlsFacts, Transaction, TrapHit
    from gatepost.plugin.base import Plugin
    from gatepost.plugin.chain import Answer, Outcome
    from gatepost.plugin.clock import Clock
    from gatepost.server.server import Server
    from gatepost.session.assemble import SetupError

_HOMES = {
    "Address": "model.address",
    "AddressError": "model.address",
    "Answer": "plugin.chain",
    "AuthAttempt": "model.auth_attempt",
    "AuthFacts": "model.session",
    "Clock": "plugin.clock",
    "Config": "config.schema",
    "ConfigError": "config.problem",
    "Decision": "model.decision",
    "Endpoint": "model.endpoint",
    "Headers": "model.headers",
    "Message": "model.message",
    "Outcome": "plugin.chain",
    "Plugin": "plugin.base",
    "Recipient": "model.session",
    "Reply": "model.reply",
    "Server": "server.server",
    "Session": "model.session",
    "SetupError": "session.assemble",
    "TlsFacts": "model.session",
    "Transaction": "model.session",
    "TrapHit": "model.session",
    "Verdict": "model.decision",
    "accept": "model.decision",
    "defer": "model.decision",
    "deny": "model.decision",
    "from_dict": "config.load",
    "load": "config.load",
}

__all__ = [
    "Address",
    "AddressError",
    "Answer",
    "AuthAttempt",
    "AuthFacts",
    "Clock",
    "Config",
    "ConfigError",
    "Decision",
    "Endpoint",
    "Headers",
    "Message",
    "Outcome",
    "Plugin",
    "Recipient",
    "Reply",
    "Server",
    "Session",
    "SetupError",
    "TlsFacts",
    "Transaction",
    "TrapHit",
    "Verdict",
    "__version__",
    "accept",
    "defer",
    "deny",
    "from_dict",
    "load",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'gatepost' has no attribute {name!r}")
    value: object = getattr(import_module(f"gatepost.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
