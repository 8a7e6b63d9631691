"""The facts about a connection from a PROXY protocol header.

Security: a proxy can claim anything. Only headers of trusted proxies are read.
"""

import msgspec

from gatepost.model.endpoint import Endpoint

# Types of the PROXY protocol, version 2, section 2.2: "PP2_TYPE_..."
ALPN = 0x01
AUTHORITY = 0x02
CRC32C = 0x03
NOOP = 0x04
UNIQUE_ID = 0x05
SSL = 0x20
NETNS = 0x30

Values = tuple[tuple[int, bytes], ...]


class ProxyTls(msgspec.Struct, frozen=True):
    """The TLS between client and proxy; a text is "" if the proxy does not report it.

    `certificate` is true if the client presented a certificate, `verified` if the proxy verified
    it. `common_name` is the common name of its subject.
    """

    version: str = ""
    cipher: str = ""
    common_name: str = ""
    certificate: bool = False
    verified: bool = False


class ProxyHeader(msgspec.Struct, frozen=True):
    """One header: the addresses of the client and of the server, and further values.

    `source` and `destination` are None for the proxy's own connections (`local`, such as health
    checks), for UNKNOWN, and for protocols other than TCP on IP. `values` has the values of
    version 2 by type, as received; `tls` is the parsed value about TLS.
    """

    version: int
    local: bool = False
    source: Endpoint | None = None
    destination: Endpoint | None = None
    values: Values = ()
    tls: ProxyTls | None = None

    def value(self, kind: int) -> bytes | None:
        """Return the first value of a type such as `UNIQUE_ID`, None if there is none."""
        return next((value for found, value in self.values if found == kind), None)
