"""One end of a connection."""

import msgspec


class Endpoint(msgspec.Struct, frozen=True):
    """An IP address as text and a port; a Unix socket has port 0."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
