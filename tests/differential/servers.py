"""The servers that rows are played to."""

from typing import Any, NamedTuple

from tests.auth.samples import user, write_users
from tests.net.authority import write

from gatepost.config.schema import (
    AuthConfig,
    Config,
    LimitsConfig,
    ListenConfig,
    RecipientsConfig,
    RouteConfig,
    SmtpConfig,
)
from gatepost.net.tls import KeyPair, ListenerTls
from gatepost.server.listener import ListenerSettings
from gatepost.server.memory import DEFAULT_PEER, MemoryServer
from gatepost.session.dialect import DIALECTS

# Small, so that rows about size are short.
MESSAGE_SIZE = 1000
HOST = "mx.example.com"


class Kind(NamedTuple):
    """One kind of server: its sections of the configuration, its listener, the client."""

    smtp: dict[str, Any]
    auth: bool = False
    clear: bool = True
    tls: bool = False
    peer: tuple[str, int] = DEFAULT_PEER
    dsn: bool = False


class Spool:
    """Stands for the queue, without which no DSN can be sent."""


TOLERANT = {"unauthorised_pipelining": "tolerate"}
KINDS = {
    "usual": Kind(TOLERANT),
    "strict paths": Kind(TOLERANT | {"strict_paths": True}),
    "synchronised": Kind({"unauthorised_pipelining": "refuse"}),
    "local client": Kind(TOLERANT, peer=("127.0.0.1", 50000), dsn=True),
    "auth": Kind(TOLERANT, auth=True),
    "starttls": Kind(TOLERANT, tls=True),
    "auth after tls": Kind(TOLERANT, auth=True, clear=False, tls=True),
}


def configure(kind, folder):
    """Return the configuration of a kind of server; its files are in the folder."""
    if kind.auth:
        write_users(folder, user())
    return Config(
        base=folder,
        limits=LimitsConfig(message_size=MESSAGE_SIZE, recipients=5, errors=50, soft_errors=50),
        smtp=SmtpConfig(**kind.smtp),
        recipients=RecipientsConfig(domains=["example.com"]),
        route=[RouteConfig(to="discard:")],
        listen=[ListenConfig(auth=kind.auth)],
        auth=AuthConfig(clear=kind.clear, users="users.auth") if kind.auth else AuthConfig(),
    )


def prepare(kind, server):
    """Replace the parts that a server in memory does not have."""
    if kind.dsn:
        server.setup.queue = Spool()


def settings(kind, protocol, folder, server: MemoryServer):
    """Return the settings of the listener."""
    return ListenerSettings(
        DIALECTS[protocol],
        tls=listener_tls(folder) if kind.tls else None,
        authority=server.setup.authority if kind.auth else None,
    )


def listener_tls(folder):
    cert, key = write(folder, HOST)
    pair = KeyPair(["*"], cert, key)
    pair.load()
    starttls = next(iter(pair.contexts))  # the first kind of listener
    return ListenerTls(starttls, [pair])
