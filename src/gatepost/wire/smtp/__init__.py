"""SMTP (RFC 5321) without I/O.

`gatepost.wire.smtp.server` receives, `gatepost.wire.smtp.sending.client` sends.
"""

from gatepost.wire.protocol import NEED_DATA, PAUSED, ProtocolError
from gatepost.wire.smtp.agreed import State
from gatepost.wire.smtp.server import SmtpServer, WireLimits

__all__ = ["NEED_DATA", "PAUSED", "ProtocolError", "SmtpServer", "State", "WireLimits"]
