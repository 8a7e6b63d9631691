"""TLS between a socket's transport and a connection that knows nothing of it.

To the socket it is the protocol, to the connection the transport, in the place of the socket's own
from the handshake on: connections in the clear never meet it. What asyncio and uvloop offer for
this (`start_tls`) can lose data, so the pumping is done here.

Security: a handshake that fails ends in a close, with at most a TLS alert; nothing is ever said in
the clear. How long it may take is the connection's to watch.
"""

import asyncio
from typing import Any, Protocol

import structlog

from gatepost.model.session import TlsFacts
from gatepost.net.tls_pump import TlsFailedError, TlsPump

_log = structlog.get_logger("gatepost.server")


class Inner(Protocol):
    """A protocol that is told when TLS is in force."""

    def secured(self, facts: TlsFacts) -> None:
        """Begin: the handshake is done."""

    def data_received(self, data: bytes) -> None:
        """Take decrypted bytes."""

    def eof_received(self) -> bool:
        """Take note that no more will come; return whether there is still something to send."""

    def pause_writing(self) -> None:
        """Stop writing."""

    def resume_writing(self) -> None:
        """Write again."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up."""


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """One connection's TLS. Takes `transport` over from `inner` at once.

    A client calls `begin` then. `failure` says why the handshake failed, "" as long as it has not.
    """

    def __init__(self, pump: TlsPump, transport: asyncio.Transport, inner: Inner) -> None:
        super().__init__()
        self._pump = pump
        self._transport = transport
        self._inner = inner
        self._shut = False
        self.failure = ""
        transport.set_protocol(self)

    def begin(self) -> None:
        """Begin the handshake, as a client does."""
        self._pump.receive(b"")
        self._flush()

    @property
    def handshaking(self) -> bool:
        """Whether nothing can be sent yet."""
        return self._pump.handshaking

    # What the socket's transport calls

    def data_received(self, data: bytes) -> None:
        """Decrypt what came from the other side."""
        if self._shut:
            return
        pump = self._pump
        handshaking = pump.handshaking
        try:
            plain = pump.receive(data)
        except TlsFailedError as error:
            self._fail(error)
            return
        if handshaking and not pump.handshaking:
            self._inner.secured(pump.facts())
        if plain:
            self._inner.data_received(plain)
        self._flush()
        if pump.ended and not self._inner.eof_received():
            self.close()

    def _fail(self, error: TlsFailedError) -> None:
        """Say in TLS's own terms what is wrong, if the other side speaks it, and close."""
        peer = self._transport.get_extra_info("peername")
        _log.info("TLS failed", peer=str(peer), reason=str(error))
        self.failure = str(error)
        self._shut = True
        self._flush()
        self._transport.close()

    def eof_received(self) -> bool:
        """Pass on that the other side sends no more."""
        return not (self._shut or self._pump.handshaking) and self._inner.eof_received()

    def pause_writing(self) -> None:
        """Pass it on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._inner.connection_lost(exc)

    # What the connection calls

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if not self._shut:
            self._pump.send(data)
            self._flush()

    def _flush(self) -> None:
        data = self._pump.outgoing()
        if data:
            self._transport.write(data)

    def _shut_down(self) -> None:
        if not self._shut:
            self._shut = True
            self._pump.close()
            self._flush()

    def can_write_eof(self) -> bool:
        """Return whether the socket can be half closed."""
        return self._transport.can_write_eof()

    def write_eof(self) -> None:
        """Say that nothing more is sent, and drop what comes."""
        self._shut_down()
        self._transport.write_eof()

    def close(self) -> None:
        """Send what is to be sent, say good-bye and close."""
        self._shut_down()
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._shut = True
        self._transport.abort()

    def is_closing(self) -> bool:
        """Return whether the socket is being closed."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Leave the socket unread."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read the socket again."""
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the socket's transport knows."""
        return self._transport.get_extra_info(name, default)
