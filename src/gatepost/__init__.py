"""An SMTP receiver that decides while the sender is still connected.

Everything public is named here; `gatepost.testing` has what tests of plugins need.
"""

from gatepost._version import __version__
from gatepost.config.load import from_dict, load
from gatepost.config.problem import ConfigError
from gatepost.config.schema import Config
from gatepost.model.address import Address, AddressError
from gatepost.model.decision import Decision, Verdict, accept, defer, deny
from gatepost.model.headers import Headers
from gatepost.model.message import Message
from gatepost.model.reply import Reply
from gatepost.model.session import Endpoint, Recipient, Session, Transaction, TrapHit
from gatepost.plugin.base import Plugin
from gatepost.plugin.chain import Answer, Outcome
from gatepost.plugin.clock import Clock
from gatepost.server.server import Server
from gatepost.session.assemble import SetupError

__all__ = [
    "Address",
    "AddressError",
    "Answer",
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
