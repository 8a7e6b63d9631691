"""TLS between a socket's transport and a connection.

To the socket it is the protocol; to the connection it is the transport, from the start of the
handshake. Connections in the clear do not use it. `start_tls` of asyncio and uvloop can lose data,
so bytes are passed on here.

Theory of operation: what one read from the socket holds may be much work. It is decrypted in turns
(`gatepost.net.turns`), and the socket is not read while a turn is due or the connection is paused.

Security: a failed handshake ends in a close, with at most a TLS alert; nothing is sent in the
clear. The connection limits the time it may take.
"""

import asyncio
from typing import Any, Protocol

from gatepost.model.session import TlsFacts
from gatepost.net.tls_codec import TlsCodec, TlsFailedError
from gatepost.net.turns import Turns


class Inner(Protocol):
    """A protocol that is notified when TLS is in force."""

    def secured(self, facts: TlsFacts) -> None:
        """Start: the handshake is done."""

    def tls_failed(self, problem: str) -> None:
        """Note a failed handshake or record; the connection is being closed."""

    def data_received(self, data: bytes) -> None:
        """Take decrypted bytes."""

    def eof_received(self) -> bool:
        """Note that no more will come; return whether there is still something to send."""

    def pause_writing(self) -> None:
        """Stop writing."""

    def resume_writing(self) -> None:
        """Write again."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up."""


class TlsTransport(asyncio.Transport, asyncio.Protocol):
    """One connection's TLS. Takes `transport` over from `inner` at once.

    A client calls `begin` then. `failure` is why TLS failed, "" unless it has.
    """

    def __init__(
        self,
        codec: TlsCodec,
        transport: asyncio.Transport,
        inner: Inner,
        turns: Turns | None = None,
    ) -> None:
        super().__init__()
        self._codec = codec
        self._transport = transport
        self._inner = inner
        self._turns = turns or Turns(asyncio.get_running_loop())
        self._queued = False
        self._paused = False
        self._eof = False
        self._shut = False
        self.failure = ""
        transport.set_protocol(self)

    def begin(self) -> None:
        """Start the handshake, as a client does."""
        self._codec.receive(b"")
        self._flush()

    @property
    def handshaking(self) -> bool:
        """Return whether nothing can be sent yet."""
        return self._codec.handshaking

    # Called by the socket's transport

    def data_received(self, data: bytes) -> None:
        """Decrypt what came from the other side."""
        if not self._shut:
            self._decrypt(data)

    def turn(self) -> int:
        """Decrypt more of what has come; return the cost in octets."""
        self._queued = False
        if self._shut or self._paused:
            return 0
        self._transport.resume_reading()
        self._decrypt(b"")
        return self._codec.cost

    def _decrypt(self, data: bytes) -> None:
        codec, inner = self._codec, self._inner
        handshaking = codec.handshaking
        try:
            plain = codec.receive(data)
        except TlsFailedError as error:
            self._fail(error)
            return
        if handshaking and not codec.handshaking:
            inner.secured(codec.facts())
        if plain:
            inner.data_received(plain)
        self._flush()
        if codec.more:
            self._queue()
        elif codec.ended:
            self._end()
        elif self._eof:
            self._pass_eof()

    def _queue(self) -> None:
        if not (self._queued or self._shut):
            self._queued = True
            self._transport.pause_reading()
            self._turns.add(self)

    def _end(self) -> None:
        if not self._inner.eof_received():
            self.close()

    def _pass_eof(self) -> None:
        if not self._inner.eof_received():
            self._transport.close()

    def _fail(self, error: TlsFailedError) -> None:
        """Send an alert if the other side speaks TLS, and close."""
        self.failure = str(error)
        self._shut = True
        self._inner.tls_failed(self.failure)
        self._flush()
        self._transport.close()

    def eof_received(self) -> bool:
        """Pass on that the other side sends no more, after what it has sent."""
        if self._shut or self._codec.handshaking:
            return False
        if self._queued or self._codec.more:
            self._eof = True
            return True
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        """Pass it on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass it on."""
        self._shut = True
        self._inner.connection_lost(exc)

    # Called by the connection

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if not self._shut:
            self._codec.send(data)
            self._flush()

    def _flush(self) -> None:
        data = self._codec.outgoing()
        if data:
            self._transport.write(data)

    def _shut_down(self) -> None:
        if not self._shut:
            self._shut = True
            self._codec.close()
            self._flush()

    def can_write_eof(self) -> bool:
        """Return whether the socket can be half closed."""
        return self._transport.can_write_eof()

    def write_eof(self) -> None:
        """Send close_notify and close the sending half."""
        self._shut_down()
        self._transport.write_eof()

    def close(self) -> None:
        """Send what is buffered and close_notify, then close."""
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
        """Stop reading from the socket, and decrypting."""
        self._paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Decrypt what has come, then read from the socket again."""
        self._paused = False
        if self._codec.more:
            self._queue()
        elif not self._queued:
            self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return information about the socket."""
        return self._transport.get_extra_info(name, default)
