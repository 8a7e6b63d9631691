"""TLS without I/O: bytes from the network in, plain bytes out, and the reverse.

`receive` takes what came from the network and returns what it means; `send` encrypts. `outgoing`
returns what must go to the network because of either. The handshake runs inside `receive`.

Theory of operation
-------------------
OpenSSL is fed one record at a time, and `receive` stops after TURN: the work of one call is
bounded, whatever the other side sends. `more` is true while complete records are left; go on with
`receive(b"")`.

Security: nothing after a close_notify, or after a record that fails its check, is decrypted.
Without close_notify the connection may have been cut by an attacker; the protocol inside must
detect where its messages end, as SMTP does. A side that sends MAX_SILENT records in a row without
data is cut off: each TLS 1.3 KeyUpdate makes this side derive keys.
"""

import hashlib
import ssl
from typing import Any

from gatepost.model.session import TlsFacts
from gatepost.net.tls import NamedObject
from gatepost.net.turns import TURN

# The most one record holds, and how much longer it is encrypted (RFC 8446 section 5.1, 5.2;
# TLS 1.2 allows more than TLS 1.3).
RECORD = 16 * 1024
_EXPANSION = 2048
# The header of a record: type, version, length.
_HEADER = 5
# What handling one record costs at least, in octets.
RECORD_COST = 512
# Records in a row that carry no data.
MAX_SILENT = 32
# The types of records (RFC 8446 section 5.1).
_TYPES = range(20, 25)
_HANDSHAKE = 0x16
# X.509's attribute names and how they are usually written (RFC 4514 section 3).
_SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
    "streetAddress": "STREET",
    "userId": "UID",
}


class TlsFailedError(Exception):
    """The handshake failed, or a record is not authentic: the connection can only be closed."""


class TlsCodec:
    """One side of one TLS connection: the server's, or with a `peer_name` the client's.

    `peer_name` is the server's name, for SNI and for the certificate check if the context requires
    one. A client's handshake starts with `receive(b"")`. `handshaking` is true until the handshake
    is done, `ended` once the other side has sent close_notify. `cost` is the last `receive`'s.
    """

    __slots__ = (
        "_buffer",
        "_incoming",
        "_mute",
        "_object",
        "_outgoing",
        "_silent",
        "cost",
        "ended",
        "handshaking",
    )

    def __init__(self, context: ssl.SSLContext, peer_name: str | None = None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        is_server = peer_name is None
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, is_server, server_hostname=peer_name
        )
        self._buffer = bytearray()
        self._mute = is_server
        self._silent = 0
        self.handshaking = True
        self.ended = False
        self.cost = 0

    @property
    def more(self) -> bool:
        """Return whether `receive(b"")` would decrypt more."""
        return not self.ended and self._record_size() > 0

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the network; return decrypted ones. Raises `TlsFailedError`."""
        if self.ended:
            return b""
        self._buffer += data
        self.cost = 0
        try:
            if not self._buffer:
                self._shake_hands()
                return b""
            return self._receive()
        except ssl.SSLError as error:
            raise TlsFailedError(_reason(error)) from error

    def _receive(self) -> bytes:
        pieces = []
        while self.cost < TURN and not self.ended and (size := self._record_size()):
            self._feed(size)
            if self.handshaking and not self._shake_hands():
                continue
            piece = self._read()
            if piece:
                pieces.append(piece)
                self._silent = 0
            else:
                self._count_silent()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _record_size(self) -> int:
        """Return the size of the first complete record, 0 if there is none.

        Bytes that are no record are passed to OpenSSL at once, which refuses them.
        """
        buffer = self._buffer
        if not buffer:
            return 0
        if buffer[0] not in _TYPES:
            return len(buffer)
        if len(buffer) < _HEADER:
            return 0
        size = _HEADER + int.from_bytes(buffer[3:_HEADER])
        if size > _HEADER + RECORD + _EXPANSION:
            return len(buffer)
        return size if size <= len(buffer) else 0

    def _feed(self, size: int) -> None:
        buffer = self._buffer
        if self._mute:
            self._mute = buffer[0] != _HANDSHAKE
        self._incoming.write(buffer[:size])
        del buffer[:size]
        self.cost += max(size, RECORD_COST)

    def _count_silent(self) -> None:
        self._silent += 1
        if self._silent > MAX_SILENT and not self.ended:
            raise TlsFailedError("too many records without data")

    def _shake_hands(self) -> bool:
        """Go on with the handshake; return whether it is done.

        A server sends nothing, not even an alert, to a client that does not speak TLS.
        """
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.handshaking = False
        return True

    def _read(self) -> bytes:
        """Return the data of the record that was fed last."""
        if not self._incoming.pending:
            return b""
        try:
            piece = self._object.read(RECORD)
        except ssl.SSLWantReadError:
            return b""
        self.ended = not piece
        return piece

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt bytes for the other side."""
        self._object.write(data)

    def close(self) -> None:
        """Send close_notify."""
        try:
            self._object.unwrap()
        except ssl.SSLError:
            return  # the other side's own close_notify is not awaited

    def outgoing(self) -> bytes:
        """Return what has to go to the network, once."""
        return b"" if self._mute else self._outgoing.read()

    def facts(self) -> TlsFacts:
        """Return what was agreed on; call it once the handshake is done."""
        connection = self._object
        cipher = connection.cipher()
        certificate = connection.getpeercert(binary_form=True)
        given = certificate is not None
        return TlsFacts(
            version=connection.version() or "",
            cipher=cipher[0] if cipher else "",
            sni=connection.sni if isinstance(connection, NamedObject) else "",
            peer_subject=_subject(connection.getpeercert()) if given else "",
            peer_fingerprint=hashlib.sha256(certificate).hexdigest() if certificate else "",
        )


def _reason(error: ssl.SSLError) -> str:
    reason = error.reason or str(error)
    why = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else ""
    # For a client's certificate OpenSSL gives no further reason
    return f"{reason}: {why}" if why else reason


def _subject(certificate: Any) -> str:
    """Return a subject in the order of RFC 4514, most specific part first; values are not escaped.

    It is "" for a certificate that was not verified: Python does not parse those.
    """
    parts = [part for group in certificate.get("subject", ()) for part in group]
    return ",".join(f"{_SHORT.get(name, name)}={value}" for name, value in reversed(parts))
