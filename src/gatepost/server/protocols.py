"""The classes of the connections of a listener, by its protocol.

A protocol of the SMTP family has clients, and `gatepost.server.connection` has the manners towards
them. In any other protocol a mail server asks for decisions about its own clients: such a
connection is an `MtaConnection`, with a wire and a handler of the protocol.
"""

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import cast

from gatepost.config.schema import ListenConfig
from gatepost.server.connection import Connection
from gatepost.server.connections import Connections
from gatepost.server.listener import ListenerSettings
from gatepost.server.milter import speak_milter
from gatepost.server.mta_connection import MtaConnection
from gatepost.server.policy import speak_policy
from gatepost.server.proxy import ProxyHandshake

# Makes the protocol object of each connection.
Factory = Callable[[], asyncio.Protocol]
FactoryOf = Callable[[Connections, ListenConfig, ListenerSettings], Factory]


def smtp(connections: Connections, listen: ListenConfig, settings: ListenerSettings) -> Factory:
    """Return the factory of a listener for clients, by way of a proxy or directly."""
    if listen.proxy_from or listen.xclient_from:
        return functools.partial(ProxyHandshake, connections, listen, settings)
    return cast("Factory", functools.partial(Connection, connections, settings))


def milter(connections: Connections, _listen: ListenConfig, settings: ListenerSettings) -> Factory:
    """Return the factory of a listener for mail servers that use Gatepost as their milter."""
    return cast("Factory", functools.partial(MtaConnection, connections, settings, speak_milter))


def policy(connections: Connections, _listen: ListenConfig, settings: ListenerSettings) -> Factory:
    """Return the factory of a listener for mail servers that ask about each command."""
    return cast("Factory", functools.partial(MtaConnection, connections, settings, speak_policy))


PROTOCOLS: Mapping[str, FactoryOf] = {
    "smtp": smtp,
    "lmtp": smtp,
    "milter": milter,
    "policy": policy,
}
