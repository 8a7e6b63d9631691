"""The settings for a route's next hop: options with their files read and defaults applied."""

from pathlib import Path
from typing import Self

import msgspec

from gatepost.config.client import ClientConfig
from gatepost.config.secret_file import read_secret
from gatepost.model.secret import Secret
from gatepost.net.client_tls import ClientTls


class ClientSettings(msgspec.Struct, frozen=True, eq=False):
    """The settings: `options` as configured, `helo` the name for EHLO."""

    options: ClientConfig
    helo: str
    tls: ClientTls
    password: Secret = Secret()
    password_path: Path | None = None

    @classmethod
    def make(cls, options: ClientConfig, base: Path, hostname: str) -> Self:
        """Read the files that the options name, relative to `base`; raise ValueError."""
        ca = base / options.ca if options.ca else None
        tls = ClientTls(options.tls, ca, options.server_name)
        if bool(options.user) != bool(options.password_file):
            raise ValueError("client: expected both user and password_file, or neither")
        path = base / options.password_file if options.user else None
        password = read_secret(path, "password") if path else Secret()
        return cls(options, options.helo or hostname, tls, password, path)
