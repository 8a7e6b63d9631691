"""The parsed record of a domain, as values."""

from gatepost.mailauth.spf.macros import MacroText
from gatepost.mailauth.spf.result import Word
from gatepost.model.structs import Frozen


class Mechanism(Frozen, frozen=True):
    """A mechanism: its text as written, and the result if it matches.

    `target` is None for the domain that is checked. `bits` are the lengths of the IPv4 and IPv6
    prefixes. `network` is the address of ip4 and ip6 as a number.
    """

    text: str
    result: Word
    name: str
    target: MacroText | None = None
    bits: tuple[int, int] = (32, 128)
    network: int = 0

    def covers(self, version: int, network: int, address: int) -> bool:
        """Return whether an address of an IP version is in the network of this prefix length."""
        width, bits = (32, self.bits[0]) if version == 4 else (128, self.bits[1])
        return (network ^ address) >> (width - bits) == 0


class Modifier(Frozen, frozen=True):
    """The modifier redirect or exp: its text as written, and its domain."""

    text: str
    target: MacroText


class Record(Frozen, frozen=True):
    """A record with correct syntax: its mechanisms in order, and its modifiers."""

    mechanisms: tuple[Mechanism, ...]
    redirect: Modifier | None = None
    explanation: Modifier | None = None
