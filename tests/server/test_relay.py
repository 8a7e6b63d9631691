"""A server behind a server: the message, TLS, and the identity of the first one's client."""

import asyncio
from pathlib import Path

import pytest
from tests.net import authority

from gatepost import Plugin
from gatepost.config.client import ClientConfig
from gatepost.config.listen import InetAddress
from gatepost.config.load import check
from gatepost.config.schema import (
    CertificateConfig,
    Config,
    ListenConfig,
    RecipientsConfig,
    RouteConfig,
    SmtpConfig,
    TlsConfig,
)
from gatepost.server.server import Server

CONTENT = b"Subject: x\r\n\r\n.Hello\r\n"


class DeliveryRecorder(Plugin):
    """Records the client, its TLS version and the content."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def after_deliver(self, tx, outcome):
        session = tx.session
        version = session.tls and session.tls.version
        self.seen.append((session.peer.host, session.helo, version, bytes(tx.message)))


def config(folder, listen, route):
    return check(
        Config(
            listen=[listen],
            smtp=SmtpConfig(unauthorised_pipelining="tolerate"),
            recipients=RecipientsConfig(domains=["example.com"]),
            tls=TlsConfig(certificates=[CertificateConfig(cert="cert.pem", key="cert.key")]),
            route=[route],
            base=folder,
        )
    )


async def relayed(folder, protocol="smtp", client=None, **listen):
    """Send one message through both; return the records of the second one."""
    seen = DeliveryRecorder()
    address = InetAddress("127.0.0.1", 0)
    second = config(
        folder,
        ListenConfig(address=address, protocol=protocol, **listen),
        RouteConfig(to="discard:"),
    )
    async with asyncio.timeout(20), Server(second, [seen]) as behind:
        host = behind.addresses[0][1]
        route = RouteConfig(to=f"{protocol}://{host}", client=ClientConfig(**(client or {})))
        async with Server(config(folder, ListenConfig(address=address), route)) as front:
            await send(int(front.addresses[0][1].rpartition(":")[2]))
    return seen.seen


async def send(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.3", 0))
    commands = b"EHLO client.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.com>\r\n"
    writer.write(commands + b"BDAT %d LAST\r\n%sQUIT\r\n" % (len(CONTENT), CONTENT))
    answer = await reader.read()
    assert b"\r\n250 2.0.0 Ok" in answer, answer
    writer.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    authority.write(tmp_path, "127.0.0.1")
    authority.write_authority(tmp_path)
    return tmp_path


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
@pytest.mark.parametrize("tls", ["none", "starttls"])
def test_message_is_relayed(folder, protocol, tls):
    mode = {"tls": "verified" if tls == "starttls" else "opportunistic", "ca": "ca.pem"}
    ((peer, helo, version, content),) = asyncio.run(relayed(folder, protocol, mode, tls=tls))
    assert (peer, helo) == ("127.0.0.1", "localhost")
    assert version == ("TLSv1.3" if tls == "starttls" else None)
    assert content.endswith(CONTENT)
    assert content.count(b"Received: ") == 2


def test_message_is_relayed_over_smtps(folder):
    async def play():
        seen = DeliveryRecorder()
        address = InetAddress("127.0.0.1", 0)
        second = config(
            folder, ListenConfig(address=address, tls="implicit"), RouteConfig(to="discard:")
        )
        async with Server(second, [seen]) as behind:
            client = ClientConfig(tls="verified", ca="ca.pem")
            route = RouteConfig(to=f"smtps://{behind.addresses[0][1]}", client=client)
            async with Server(config(folder, ListenConfig(address=address), route)) as front:
                await send(int(front.addresses[0][1].rpartition(":")[2]))
        return seen.seen

    assert [one[2] for one in asyncio.run(play())] == ["TLSv1.3"]


FORWARDS = [
    ("xclient", {"xclient_from": ["127.0.0.1/32"]}, "client.example"),
    ("proxy-v1", {"proxy_from": ["127.0.0.1/32"]}, "localhost"),
    ("proxy-v2", {"proxy_from": ["127.0.0.1/32"]}, "localhost"),
]


@pytest.mark.parametrize(("forward", "trust", "helo"), FORWARDS)
def test_address_of_the_client_is_forwarded(folder, forward, trust, helo):
    ((peer, name, _, _),) = asyncio.run(relayed(folder, "smtp", {"forward": forward}, **trust))
    assert (peer, name) == ("127.0.0.3", helo)
