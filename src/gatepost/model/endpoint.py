"""One end of a connection."""

from gatepost.model.structs import Frozen


class Endpoint(Frozen, frozen=True):
    """An IP address as text and a port; a Unix socket has port 0."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        return endpoint_text(self.host, self.port)


def endpoint_text(host: str, port: int) -> str:
    """Return an address and a port as text; an IPv6 address gets brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
