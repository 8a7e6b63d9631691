"""SMTP (RFC 5321) without I/O: see `gatepost.wire.smtp.server` and `gatepost.wire.smtp.client`."""

from gatepost.wire.protocol import NEED_DATA, PAUSED, ProtocolError
from gatepost.wire.smtp.agreed import State
from gatepost.wire.smtp.server import SmtpServer, WireLimits

__all__ = ["NEED_DATA", "PAUSED", "ProtocolError", "SmtpServer", "State", "WireLimits"]
