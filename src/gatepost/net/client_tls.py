"""TLS for connections that go out: whose certificate is believed, and how much it matters.

| mode     | without TLS | certificate | what it is good for                                |
|----------|-------------|-------------|----------------------------------------------------|
| none     | always      |             | a socket of this machine, a network of one's own   |
| wanted   | sends too   | anybody's   | strangers: better than nothing (RFC 7435)          |
| required | does not    | anybody's   | against those who only listen                      |
| verified | does not    | checked     | against those who step in between                  |

Security: TLS 1.2 or later. A certificate that is not checked stops nobody who can change packets.
Blocking I/O where it is made: it reads the file of authorities.
"""

import ssl
from pathlib import Path
from typing import Literal

Mode = Literal["none", "opportunistic", "required", "verified"]


class ClientTls:
    """How connections to some next hop are secured.

    `ca` is a PEM file of the authorities believed in mode "verified", None for the system's;
    `peer_name` the name to ask for and to check, "" for the host's own. Raises ValueError for a
    file that cannot be used.
    """

    def __init__(
        self, mode: Mode = "opportunistic", ca: Path | None = None, peer_name: str = ""
    ) -> None:
        self.mode = mode
        self._peer_name = peer_name
        self.context = _context(mode, ca)

    @property
    def compulsory(self) -> bool:
        """Whether nothing may be sent in the clear."""
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
        _believe(context, ca)
    return context


def _believe(context: ssl.SSLContext, ca: Path) -> None:
    try:
        context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise ValueError(f"{ca}: expected certificates in PEM form") from error
    except OSError as error:
        raise ValueError(f"{ca}: cannot be read: {error.strerror}") from error
