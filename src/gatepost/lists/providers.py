"""The shipped list of big providers, from which many organisations send.

It stands in for the site's own history of shared networks (`gatepost.traps.shared`), which needs 30
days. The file is `providers.txt` in this folder: a line is a domain suffix or a network.

Security: the name of a client must be verified (its reverse name has its address), or any client
could claim to be a provider. The name in HELO is not verified.
"""

from importlib.resources import files
from ipaddress import IPv4Address, IPv6Address

from gatepost.lists.domains import DomainList
from gatepost.lists.networks import NetworkList
from gatepost.model.address import domain_key

_NAME = "providers.txt"


class Providers:
    """Domain suffixes and networks of big providers."""

    def __init__(self, suffixes: DomainList, networks: NetworkList) -> None:
        self.suffixes = suffixes
        self.networks = networks

    def covers(self, address: IPv4Address | IPv6Address | None, name: str) -> bool:
        """Return whether a client is one of a provider, by its address or its verified name."""
        if address is not None and self.networks.find(address) is not None:
            return True
        return name != "" and domain_key(name) in self.suffixes


def load_providers() -> Providers:
    """Return the shipped list."""
    text = files("gatepost.lists").joinpath(_NAME).read_text("utf-8")
    lines = text.splitlines()
    is_network = ["/" in line and not line.startswith("#") for line in lines]
    networks = (line if one else "" for line, one in zip(lines, is_network, strict=True))
    names = ("" if one else line for line, one in zip(lines, is_network, strict=True))
    return Providers(DomainList.from_lines(names, _NAME), NetworkList.from_lines(networks, _NAME))
