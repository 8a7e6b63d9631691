"""Configurations and clients with TLS for the tests of the server."""

import asyncio

import msgspec
from tests.net.authority import client_context, write
from tests.server.loopback import HELO, Client, config

from gatepost.config.schema import CertificateConfig, TlsConfig

MODES = ("starttls", "implicit")
NAME = "mx.example.com"


async def encrypted(running, mode, context=None, name=NAME):
    """Return a client that has completed TLS and read the greeting."""
    context = context or client_context()
    host, _, port = running.server.addresses[0][1].rpartition(":")
    if mode == "implicit":
        client = Client(
            *await asyncio.open_connection(host, int(port), ssl=context, server_hostname=name)
        )
        assert (await client.reply())[:3] == "220"
        return client
    client = await running.connect()
    await client.reply()
    client.send(HELO)
    await client.reply()
    client.send(b"STARTTLS\r\n")
    assert await client.reply() == "220 2.0.0 Ready to start TLS"
    await client.writer.start_tls(context, server_hostname=name)
    return client


async def lines(client):
    """Return the text of all lines of a reply."""
    found = [await client.reader.readline()]
    while found[-1][3:4] == b"-":
        found.append(await client.reader.readline())
    return [line.decode().rstrip()[4:] for line in found]


def blocking(running, mode):
    """Return a socket and its TLS socket, greeted, for a client that ends TLS but not TCP."""
    sock = running.connect_socket()
    if mode == "starttls":
        exchange(sock, b"", 1)
        exchange(sock, HELO, 1)
        exchange(sock, b"STARTTLS\r\n", 1)
    client = client_context().wrap_socket(sock, server_hostname=NAME)
    if mode == "implicit":
        exchange(client, b"", 1)
    return sock, client


def exchange(sock, data, replies):
    """Send data and read a number of replies."""
    sock.sendall(data)
    received = b""
    while sum(line[3:4] == b" " for line in received.splitlines()) < replies:
        received += sock.recv(4096)


def tls_config(folder, mode, *, client_ca="", limits=None, to="discard:", names=("*",)):
    cert, key = write(folder, NAME)
    made = config(folder, limits=limits, to=to)
    listen = [msgspec.structs.replace(made.listen[0], tls=mode)]
    pairs = [CertificateConfig(names=names, cert=cert.name, key=key.name)]
    return msgspec.structs.replace(
        made, listen=listen, tls=TlsConfig(certificates=pairs, client_ca=client_ca)
    )
