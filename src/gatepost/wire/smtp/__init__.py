"""The receiving side of SMTP (RFC 5321) without I/O: see `gatepost.wire.smtp.server`."""

from gatepost.wire.smtp.commands import State
from gatepost.wire.smtp.server import NEED_DATA, PAUSED, ProtocolError, SmtpServer, WireLimits

__all__ = ["NEED_DATA", "PAUSED", "ProtocolError", "SmtpServer", "State", "WireLimits"]
