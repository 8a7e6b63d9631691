"""The client and the sender of a check, and the values of macros (RFC 7208 section 7.2)."""

from gatepost.mailauth.hosts import IPAddress, plain_address
from gatepost.model.address import domain_key

UNKNOWN = "unknown"
POSTMASTER = "postmaster"


class Client:
    """The IP address as a number with its version, and what macros can use, by letter."""

    __slots__ = ("_local", "_macros", "_other", "address", "number", "sender_domain", "version")

    def __init__(
        self, ip: str | IPAddress, sender: str, helo: str, receiver: str, now: int
    ) -> None:
        self.address = plain_address(ip)
        self.version = self.address.version
        self.number = int(self.address)
        self._local, origin = _split(sender, helo)
        self.sender_domain = ascii_domain(origin)
        self._other = (helo, receiver, now)
        self._macros: dict[str, str] = {}

    def values(self, domain: str, validated: str) -> dict[str, str]:
        """Return the values of all macros for a domain and the validated name of the client."""
        if not self._macros:
            self._macros = self._values()
        return {**self._macros, "d": domain, "p": validated}

    def _values(self) -> dict[str, str]:
        helo, receiver, now = self._other
        return {
            "s": f"{self._local}@{self.sender_domain}",
            "l": self._local,
            "o": self.sender_domain,
            "i": _dotted(self.address),
            "v": "in-addr" if self.version == 4 else "ip6",
            "h": ascii_domain(helo),
            "c": str(self.address),
            "r": receiver or UNKNOWN,
            "t": str(now),
        }


def ascii_domain(domain: str) -> str:
    """Return a domain with A-labels, without a final dot (RFC 8616 section 4)."""
    return (domain if domain.isascii() else domain_key(domain)).removesuffix(".")


def _split(sender: str, helo: str) -> tuple[str, str]:
    """Return local part and domain of the sender (RFC 7208 sections 2.4 and 4.3)."""
    local, _, domain = sender.rpartition("@")
    return local or POSTMASTER, domain or helo


def _dotted(address: IPAddress) -> str:
    if address.version == 4:
        return str(address)
    return ".".join(f"{int(address):032X}")
