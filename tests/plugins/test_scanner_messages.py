"""Odd messages, and large ones, with all real scanners at the same time."""

import asyncio
from pathlib import Path

import pytest
from tests.plugins.scanners import HELLO, Seen, installed, large, mail
from tools import clamd, rspamd, spamd

from gatepost.plugins.clamav import Clamav
from gatepost.plugins.command import Command
from gatepost.plugins.rspamd import Rspamd
from gatepost.plugins.spamassassin import Spamassassin
from gatepost.testing import MemoryServer, VirtualClock, perform

pytest.importorskip("aiohttp")
pytestmark = pytest.mark.slow
MESSAGES = Path(__file__).parents[1] / "suites/rspamd-messages/messages"
PATHS = sorted(MESSAGES.rglob("*.eml"))


@pytest.fixture(scope="module")
def plugins(tmp_path_factory):
    """A function that makes a plugin for each of the real scanners."""
    for tool in (clamd, rspamd, spamd):
        if reason := tool.why_not():
            pytest.skip(f"{tool.NAME} is missing: {reason}")
    make = tmp_path_factory.mktemp
    with (
        clamd.running(make("clamd")) as viruses,
        rspamd.running(make("rspamd")) as spam,
        spamd.running(make("spamd")) as assassin,
    ):
        slow = {"timeout": "5m"}  # a busy machine
        yield lambda: [
            installed(one, timeout=300)
            for one in (
                Clamav(server=f"unix:{viruses}", **slow),
                Rspamd(server=spam.url.removesuffix("/checkv2"), **slow),
                Spamassassin(server=f"unix:{assassin.unix}", deny=0, **slow),
                Command(command=["/usr/bin/wc"], **slow),
            )
        ]


def octets(path):
    """Return a message as content of DATA, with its line ends and dots as SMTP demands."""
    lines = path.read_bytes().replace(b"\r", b"").replace(b"\0", b"").splitlines()
    return b"".join(b"." * line.startswith(b".") + line + b"\r\n" for line in lines) + b".\r\n"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_scanner_answers_about_odd_messages(plugins, path):
    seen = Seen()

    async def scenario():
        clock = VirtualClock("2024-01-01")
        async with MemoryServer([*plugins(), seen], clock=clock) as server:
            client = server.connect(("198.51.100.7", 50000))
            await perform(client, HELLO + mail("").partition("    C: .")[0])
            client.send(octets(path))
            reply = await client.reply()
            await client.close()
            return reply, server.messages

    reply, [message] = asyncio.run(scenario())
    assert reply.startswith("250")
    found = {one.name: one.value for one in seen.results}
    found["spamassassin"] = found["spamassassin"].replace("spam", "ham")
    assert found == {
        "clamav": "clean",
        "rspamd": "no-action",
        "spamassassin": "ham",
        "command": "passed",
    }
    assert message.parse()["X-Spam-Status"]


def test_twenty_clients_of_real_scanners_are_all_answered(plugins):
    seen = Seen()

    async def scenario():
        clock = VirtualClock("2024-01-01")
        async with MemoryServer([*plugins(), seen], clock=clock) as server:
            clients = [server.connect((f"198.51.100.{one}", 50000)) for one in range(20)]
            async with asyncio.TaskGroup() as group:
                for client in clients:
                    group.create_task(perform(client, HELLO + mail(large(20_000))))
            for client in clients:
                await client.close()
            return server.messages

    assert len(asyncio.run(scenario())) == 20
    assert "temperror" not in {one.value for one in seen.results}
    assert len(seen.results) == 20 * 4
