"""What a proxy in front says of a connection: the values of a PROXY protocol header.

Security: all of it is the proxy's word. It is only ever made for a proxy that is trusted.
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
    """The TLS between client and proxy; a text is "" where the proxy does not say.

    `certificate` tells whether the client has shown one, `verified` whether the proxy has found
    it good, `common_name` whose it is.
    """

    version: str = ""
    cipher: str = ""
    common_name: str = ""
    certificate: bool = False
    verified: bool = False


class ProxyHeader(msgspec.Struct, frozen=True):
    """One header: who the client is, which address it came to, and what else the proxy tells.

    `source` and `destination` are None where the proxy does not say: for its own connections
    (`local`, such as health checks), for UNKNOWN, and for what is not TCP on IP. `values` are the
    type-length-values of version 2 as they came, `tls` those about TLS, read.
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
