"""SMTP (RFC 5321) without I/O: see `gatepost.wire.smtp.server` and `gatepost.wire.smtp.client`."""

from gatepost.wire.smtp.commands import State
from gatepost.wire.smtp.server import NEED_DATA, PAUSED, ProtocolError, SmtpServer, WireLimits

__all__ = ["NEED_DATA", "PAUSED", "ProtocolError", "SmtpServer", "State", "WireLimits"]
