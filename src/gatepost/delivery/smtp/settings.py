"""What the configuration says of a route's next hop, made ready: files read, names filled in."""

from pathlib import Path
from typing import Self

import msgspec

from gatepost.config.client import ClientConfig
from gatepost.net.client_tls import ClientTls

# A password, and nothing that was not meant to be one.
MAX_PASSWORD = 1024


class Settings(msgspec.Struct, frozen=True, eq=False):
    """How to speak to next hops: `options` as configured, `helo` the name to greet with."""

    options: ClientConfig
    helo: str
    tls: ClientTls
    password: str = ""

    @classmethod
    def make(cls, options: ClientConfig, base: Path, hostname: str) -> Self:
        """Read the files that are named, relative to `base`; raises ValueError."""
        ca = base / options.ca if options.ca else None
        tls = ClientTls(options.tls, ca, options.server_name)
        if bool(options.user) != bool(options.password_file):
            raise ValueError("client: expected both user and password_file, or neither")
        password = _password(base / options.password_file) if options.user else ""
        return cls(options, options.helo or hostname, tls, password)


def _password(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            line = file.readline(MAX_PASSWORD + 2).rstrip("\r\n")
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected UTF-8") from error
    if not 0 < len(line) <= MAX_PASSWORD or "\0" in line:
        raise ValueError(f"{path}: expected a password of 1 to {MAX_PASSWORD} characters")
    return line
