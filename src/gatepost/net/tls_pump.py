"""TLS between two ends that only know bytes: no sockets, no event loop.

`receive` takes what came from the network and returns what it means, `send` encrypts; what is to
go to the network because of either waits in `outgoing`. The handshake runs inside `receive`.

Security: what follows a close_notify, or a record that is not genuine, is never decrypted. Without
close_notify the end of the connection may be an attacker's doing; it is for the protocol inside to
know where its messages end, as SMTP does.
"""

import hashlib
import ssl
from typing import Any

from gatepost.model.session import TlsFacts
from gatepost.net.tls import NamedObject

# The most one record holds (RFC 8446 section 5.1).
RECORD = 16 * 1024
# How a TLS record that carries a handshake begins (RFC 8446 section 5.1).
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
    """The handshake failed, or a record is not genuine: the connection can only be closed."""


class TlsPump:
    """One side of one TLS connection: the server's, or with a `peer_name` the client's.

    `peer_name` is the server's name: it is asked for (SNI), and checked where the context says so.
    A client's handshake begins with `receive(b"")`. `handshaking` is true until the handshake is
    done, `ended` once the other side has said that it sends no more.
    """

    __slots__ = ("_incoming", "_object", "_outgoing", "_silent", "ended", "handshaking")

    def __init__(self, context: ssl.SSLContext, peer_name: str | None = None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        is_server = peer_name is None
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, is_server, server_hostname=peer_name
        )
        self._silent = is_server
        self.handshaking = True
        self.ended = False

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the network, return what is decrypted; raises `TlsFailedError`."""
        if self.ended:
            return b""
        self._incoming.write(data)
        try:
            if self.handshaking and not self._shake_hands(data):
                return b""
            return self._read()
        except ssl.SSLError as error:
            raise TlsFailedError(_reason(error)) from error

    def _shake_hands(self, data: bytes) -> bool:
        """Go on with the handshake; return whether it is done.

        A client that does not speak TLS is told nothing by a server, not even an alert.
        """
        if self._silent and data:
            self._silent = data[0] != _HANDSHAKE
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.handshaking = False
        return True

    def _read(self) -> bytes:
        pieces = []
        try:
            while self._incoming.pending:
                piece = self._object.read(RECORD)
                if not piece:
                    self.ended = True
                    break
                pieces.append(piece)
        except ssl.SSLWantReadError:
            pass
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt bytes for the other side."""
        self._object.write(data)

    def close(self) -> None:
        """Tell the other side that nothing more is sent (close_notify)."""
        try:
            self._object.unwrap()
        except ssl.SSLError:
            return  # the other side's own close_notify is not waited for

    def outgoing(self) -> bytes:
        """Return what has to go to the network, once."""
        return b"" if self._silent else self._outgoing.read()

    def facts(self) -> TlsFacts:
        """Return what was agreed on; once the handshake is done."""
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
    # OpenSSL has the same words for a client's certificate, without saying more
    return f"{reason}: {why}" if why else reason


def _subject(certificate: Any) -> str:
    """Write a subject as RFC 4514 does, most specific part first; values are not escaped.

    It is "" of a certificate that nobody has checked: Python does not read those.
    """
    parts = [part for group in certificate.get("subject", ()) for part in group]
    return ",".join(f"{_SHORT.get(name, name)}={value}" for name, value in reversed(parts))
