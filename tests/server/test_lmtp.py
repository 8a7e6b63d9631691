"""LMTP over TCP and unix sockets, with and without SMTP, with Python's own client."""

import asyncio
import smtplib

import msgspec
import pytest
from tests.server.loopback import config, run

from gatepost.config.listen import InetAddress, UnixAddress
from gatepost.config.schema import ListenConfig, RouteConfig, TrapsConfig
from gatepost.testing import Capture

ANY = InetAddress("127.0.0.1", 0)
MESSAGE = b"Subject: x\r\n\r\ntext\r\n"


def listening(folder, *listen, **more):
    return msgspec.structs.replace(config(folder, **more), listen=listen)


def connect(address):
    """Connect with `smtplib.LMTP`, to a host and a port or to a path."""
    if address.startswith("unix:"):
        return smtplib.LMTP(address.removeprefix("unix:"), local_hostname="client.example")
    host, _, port = address.rpartition(":")
    return smtplib.LMTP(host, int(port), local_hostname="client.example")


def sent(address, recipients):
    """Send a message; return the replies to its end, one per recipient; smtplib reads one."""
    with connect(address) as client:
        assert client.ehlo()[0] == 250
        client.mail("a@client.example")
        assert [client.rcpt(one)[0] for one in recipients] == [250] * len(recipients)
        replies = [client.data(MESSAGE)]
        replies += [client.getreply() for _ in recipients[1:]]
        assert client.noop()[0] == 250
    return [f"{code} {text.decode()}" for code, text in replies]


@pytest.mark.parametrize("address", [ANY, UnixAddress("lmtp.sock")], ids=["tcp", "unix"])
def test_message_has_one_reply_for_each_recipient(tmp_path, loop, address):
    capture = Capture()

    async def scenario(running):
        [(protocol, bound)] = running.server.addresses
        assert protocol == "lmtp"
        return await asyncio.to_thread(sent, bound, ["one@example.com", "two@example.com"])

    made = listening(tmp_path, ListenConfig(address=address, protocol="lmtp"))
    replies = run(scenario, made, [capture], loop=loop)
    assert [one[:13] for one in replies] == ["250 2.0.0 Ok,"] * 2
    [message] = capture.messages
    assert message.recipients == ["one@example.com", "two@example.com"]
    assert b" with LMTP id " in message.content


def test_reply_for_each_recipient_is_that_of_its_target(tmp_path, loop):
    (tmp_path / "file").write_text("no folder")
    routes = [
        RouteConfig(for_=["two@example.com"], to="maildir:file/x"),
        RouteConfig(to="maildir:box"),
    ]
    made = listening(tmp_path, ListenConfig(address=ANY, protocol="lmtp"))
    made = msgspec.structs.replace(made, route=routes)

    async def scenario(running):
        to = [f"{one}@example.com" for one in ("one", "two", "three")]
        return await asyncio.to_thread(sent, running.server.addresses[0][1], to)

    replies = run(scenario, made, loop=loop)
    assert [one[:3] for one in replies] == ["250", "451", "250"]
    assert len(list((tmp_path / "box" / "new").iterdir())) == 1


def test_trap_refuses_the_message_and_the_session_continues(tmp_path):
    (tmp_path / "traps").write_text("trap@example.com\n")
    made = listening(
        tmp_path,
        ListenConfig(address=ANY, protocol="lmtp"),
        traps=TrapsConfig(lists=["traps"], delay=0.0),
    )

    def refused(address):
        with connect(address) as client:
            client.ehlo()
            client.mail("a@client.example")
            codes = [client.rcpt(f"{one}@example.com")[0] for one in ("one", "trap", "two")]
            with pytest.raises(smtplib.SMTPDataError) as error:
                client.data(MESSAGE)
            return codes, error.value.smtp_code, client.noop()[0]

    async def scenario(running):
        return await asyncio.to_thread(refused, running.server.addresses[0][1])

    assert run(scenario, made) == ([250, 250, 250], 554, 250)


def test_one_server_can_listen_for_smtp_and_lmtp(tmp_path):
    made = listening(
        tmp_path, ListenConfig(address=ANY), ListenConfig(address=ANY, protocol="lmtp")
    )

    def greetings(addresses):
        answers = {}
        for protocol, address in addresses:
            host, _, port = address.rpartition(":")
            with smtplib.SMTP(host, int(port)) as client:
                answers[protocol] = [client.docmd(f"{verb} x")[0] for verb in ("EHLO", "LHLO")]
        return answers

    async def scenario(running):
        return await asyncio.to_thread(greetings, running.server.addresses)

    assert run(scenario, made) == {"smtp": [250, 500], "lmtp": [500, 250]}
