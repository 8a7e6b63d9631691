"""The example of docs/auth.md, run: its configuration, its commands, its plugin."""

import asyncio
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from click.testing import CliRunner
from tests.auth.samples import b64, plain
from tests.net.authority import write
from tests.server.loopback import HELO, MESSAGE
from tests.server.test_tls import encrypted

from gatepost.cli.commands import gatepost
from gatepost.config.listen import InetAddress
from gatepost.config.load import from_dict, load
from gatepost.config.schema import AuthConfig, ListenConfig
from gatepost.plugin.loader import load_plugin
from gatepost.server.server import Server
from gatepost.testing import play

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "auth.md").read_text("utf-8")
USER, PASSWORD = "alice@example.com", "correct horse"


def block(language):
    return re.search(rf"(?ms)^```{language}\n(.*?)^```$", PAGE)[1]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "tls").mkdir()
    _, key = write(tmp_path / "tls", "mx.example.com")
    key.rename(tmp_path / "tls" / "key.pem")
    (tmp_path / "gatepost.toml").write_text(block("toml"))
    for line in re.findall(r"(?m)^\$ gatepost (users (?:add|list).*)$", PAGE):
        words = [*line.split(), "-c", str(tmp_path / "gatepost.toml")]
        given = f"{PASSWORD}\n{PASSWORD}\n"
        result = CliRunner().invoke(gatepost, words, input=given)
        assert result.exit_code == 0, result.output
    assert USER in result.output
    return tmp_path


def test_a_user_sends_to_another_domain_and_nobody_else_does(folder):
    config = load(folder / "gatepost.toml")
    listen = [msgspec.structs.replace(config.listen[0], address=InetAddress("127.0.0.1", 0))]
    mail = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<friend@elsewhere.example>\r\n"

    async def talk(house):
        stranger = await encrypted(house, "implicit")
        stranger.send(HELO)
        assert await stranger.codes(1) == ["250"]
        stranger.send(mail)
        assert await stranger.codes(2) == ["250", "550"]
        await stranger.close()
        client = await encrypted(house, "implicit")
        client.send(HELO)
        assert await client.codes(1) == ["250"]
        client.send(f"AUTH PLAIN {b64(plain(USER, PASSWORD))}\r\n".encode())
        assert await client.codes(1) == ["235"]
        client.send(mail + b"RCPT TO:<bob@example.com>\r\nDATA\r\n")
        assert await client.codes(4) == ["250", "250", "250", "354"]
        client.send(MESSAGE)
        assert await client.codes(1) == ["250"]
        await client.close()

    async def main():
        async with Server(msgspec.structs.replace(config, listen=listen)) as server:
            await talk(SimpleNamespace(server=server))

    asyncio.run(main())
    (gone,) = (folder / "var/outgoing/new").iterdir()
    (come,) = (folder / "var/mail/example.com/bob/new").iterdir()
    assert b" with ESMTPSA id " in gone.read_bytes()
    assert b" with ESMTPSA id " in come.read_bytes()


@pytest.mark.parametrize(("password", "code"), [(PASSWORD, 235), ("guess", 535)])
def test_the_plugin(tmp_path, password, code):
    (tmp_path / "ask_ldap.py").write_text(block("python"))
    asks = load_plugin("ask_ldap.py", {}, tmp_path)
    config = msgspec.structs.replace(
        from_dict({"recipients": {"domains": ["example.com"]}}),
        listen=[ListenConfig(auth=True)],
        auth=AuthConfig(clear=True),
    )
    said = f"AUTH PLAIN {b64(plain(USER, password))}"
    play(f"S: 220\nC: EHLO x\nS: 250\nC: {said}\nS: {code}", [asks], config=config)


def test_the_sample_is_what_the_page_says_of_it():
    routes = from_dict(tomllib.loads(block("toml"))).route
    assert [route.relay_for for route in routes] == ["none", "authenticated"]
