"""Trusted networks, replies and a plugin for the tests of PROXY headers and XCLIENT."""

import asyncio
from ipaddress import ip_network

from tests.server.loopback import Client

from gatepost.model.decision import deny
from gatepost.plugin.base import Plugin

LOOPBACK = [ip_network("127.0.0.0/8")]
PROXY_ONLY = [ip_network("127.0.0.1/32")]
GREETING = "220 localhost ESMTP Gatepost"
UNKNOWN = "500 5.5.1 Command not recognised"
TOO_MANY = "421 4.7.0 Too many connections, try again later"


class SessionRecorder(Plugin):
    """Records sessions; refuses connections from the given addresses."""

    def __init__(self, *refused):
        super().__init__()
        self.refused, self.sessions, self.left = refused, [], []

    def on_connect(self, session):
        self.sessions.append(session)
        return deny() if session.peer.host in self.refused else None

    def on_disconnect(self, session):
        self.left.append(session)


async def from_address(running, host):
    """Connect from another address of the loopback network."""
    _, port = running.server.addresses[0][1].split(":")
    return Client(*await asyncio.open_connection("127.0.0.1", int(port), local_addr=(host, 0)))
