"""Tables of recipients on real sockets: a new version of a file, and a worker's start."""

import asyncio

import pytest
from msgspec.structs import replace
from tests.server.loopback import Client, config
from tests.tables.databases import write_cdb, write_lmdb

from gatepost.config.schema import RecipientsConfig
from gatepost.server.server import Server
from gatepost.session.assemble import SetupError


def made(folder, table):
    return replace(
        config(folder), recipients=RecipientsConfig(domains=["example.com"], known=[table])
    )


async def rcpt(server, address):
    """Return the reply to RCPT in a new session."""
    host, _, port = server.addresses[0][1].rpartition(":")
    client = Client(*await asyncio.open_connection(host, int(port)))
    client.send(f"EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<{address}>\r\n".encode())
    reply = (await client.replies(4))[-1]
    client.writer.close()
    return reply


@pytest.mark.parametrize(("kind", "write"), [("cdb", write_cdb), ("lmdb", write_lmdb)])
def test_a_new_version_of_a_file_is_in_force_without_a_reload(tmp_path, kind, write):
    write(tmp_path / "users", {b"old@example.com": b""})

    async def scenario():
        async with Server(made(tmp_path, f"{kind}:users")) as server:
            assert (await rcpt(server, "old@example.com"))[:3] == "250"
            assert (await rcpt(server, "new@example.com"))[:9] == "550 5.1.1"
            write(tmp_path / "new", {b"new@example.com": b""})
            (tmp_path / "new").replace(tmp_path / "users")
            while (await rcpt(server, "new@example.com"))[:3] != "250":
                pass
            assert (await rcpt(server, "old@example.com"))[:9] == "550 5.1.1"

    asyncio.run(asyncio.wait_for(scenario(), 60))


def test_a_table_in_a_file_that_is_missing_keeps_the_server_from_starting(tmp_path):
    async def scenario():
        async with Server(made(tmp_path, "texthash:users")):
            raise AssertionError("started")

    with pytest.raises(SetupError, match=r"table texthash:users: .*users: cannot be read"):
        asyncio.run(scenario())
