"""The example of docs/auth.md, run: its configuration, its commands, its plugin."""

import asyncio
import re
import smtplib
import tomllib
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from tests.auth.samples import b64, plain
from tests.net.authority import client_context, write

from gatepost.cli.commands import gatepost
from gatepost.config.listen import InetAddress
from gatepost.config.load import config_from_dict, load_config
from gatepost.config.schema import AuthConfig, ListenConfig
from gatepost.plugin.loader import load_plugin
from gatepost.plugin.place import Place
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


def send(address, recipients, *, login):
    host, _, port = address.rpartition(":")
    context = client_context()
    context.check_hostname = False
    with smtplib.SMTP_SSL(host, int(port), "client.example", context=context) as client:
        if login:
            client.login(USER, PASSWORD)
        client.sendmail("a@b.example", recipients, "Subject: x\r\n\r\ntext\r\n")


def test_only_an_authenticated_user_can_send_to_another_domain(folder):
    config = load_config(folder / "gatepost.toml")
    listen = [msgspec.structs.replace(config.listen[0], address=InetAddress("127.0.0.1", 0))]
    local_route, relay = config.route
    assert (relay.to, relay.mode, str(relay.relay_for)) == ("mx:", "queue", "authenticated")
    outgoing = msgspec.structs.replace(relay, to="maildir:var/outgoing", mode="direct")
    config = msgspec.structs.replace(config, route=[local_route, outgoing])
    recipients = ["friend@elsewhere.example", "bob@example.com"]

    async def main():
        async with Server(msgspec.structs.replace(config, listen=listen)) as server:
            address = server.addresses[0][1]
            with pytest.raises(smtplib.SMTPRecipientsRefused):
                await asyncio.to_thread(send, address, recipients[:1], login=False)
            await asyncio.to_thread(send, address, recipients, login=True)

    asyncio.run(main())
    (relayed,) = (folder / "var/outgoing/new").iterdir()
    (local,) = (folder / "var/mail/example.com/bob/new").iterdir()
    assert b" with ESMTPSA id " in relayed.read_bytes()
    assert b" with ESMTPSA id " in local.read_bytes()


@pytest.mark.parametrize(("password", "code"), [(PASSWORD, 235), ("guess", 535)])
def test_the_plugin_checks_the_password(tmp_path, password, code):
    (tmp_path / "ask_ldap.py").write_text(block("python"))
    plugin = load_plugin("ask_ldap.py", {}, Place(tmp_path))
    config = msgspec.structs.replace(
        config_from_dict({"recipients": {"domains": ["example.com"]}}),
        listen=[ListenConfig(auth=True)],
        auth=AuthConfig(clear=True),
    )
    command = f"AUTH PLAIN {b64(plain(USER, password))}"
    play(f"S: 220\nC: EHLO x\nS: 250\nC: {command}\nS: {code}", [plugin], config=config)


def test_the_first_route_of_the_sample_is_open_and_the_second_is_for_users():
    routes = config_from_dict(tomllib.loads(block("toml"))).route
    assert [str(route.relay_for) for route in routes] == ["none", "authenticated"]
