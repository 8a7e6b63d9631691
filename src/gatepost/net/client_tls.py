"""TLS for outgoing connections: the modes, and which certificates are trusted.

| mode          | TLS        | certificate | use                                          |
|---------------|------------|-------------|----------------------------------------------|
| none          | never      |             | a local socket, a private network            |
| opportunistic | if offered | any         | servers of other organisations (RFC 7435)    |
| required      | always     | any         | protection from attackers that only listen   |
| verified      | always     | checked     | protection from attackers that change packets |

Security: TLS 1.2 or later. A certificate that is not checked gives no protection from an attacker
that can change packets. The constructor reads the file of authorities: blocking I/O.
"""

import ssl
from pathlib import Path
from typing import Literal

Mode = Literal["none", "opportunistic", "required", "verified"]


class ClientTls:
    """The TLS settings of connections to a next hop.

    `ca` is a PEM file of the authorities trusted in mode "verified", None for those of the system.
    `peer_name` is the server name to request and to check, "" for the name of the host. Raises
    ValueError for a file that cannot be used.
    """

    def __init__(
        self, mode: Mode = "opportunistic", ca: Path | None = None, peer_name: str = ""
    ) -> None:
        self.mode = mode
        self._peer_name = peer_name
        self.context = _context(mode, ca)

    @property
    def compulsory(self) -> bool:
        """Return whether mail must not be sent in the clear."""
        return self.mode in ("required", "verified")

    def peer_name(self, host: str) -> str:
        """Return the name for a handshake with this host."""
        return self._peer_name or host


def _context(mode: Mode, ca: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if mode != "verified":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca is None:
        context.load_default_certs()
    else:
        _trust(context, ca)
    return context


def _trust(context: ssl.SSLContext, ca: Path) -> None:
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise ValueError(f"{ca}: expected certificates in PEM form") from error
    except OSError as error:
        raise ValueError(f"{ca}: cannot be read: {error.strerror}") from error
