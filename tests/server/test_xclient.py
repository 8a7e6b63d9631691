"""XCLIENT: the client that a trusted host names; other hosts cannot use the command."""

import msgspec
import pytest
from tests.server.loopback import ENVELOPE, MESSAGE, config, run
from tests.server.proxies import (
    GREETING,
    LOOPBACK,
    PROXY_ONLY,
    TOO_MANY,
    UNKNOWN,
    SessionRecorder,
    from_address,
)
from tests.wire.headers import LOCAL, UNSPECIFIED, V1, v2

from gatepost.model.endpoint import Endpoint
from gatepost.plugin.base import Plugin
from gatepost.testing import Capture
from gatepost.wire.smtp.syntax.xclient import KEYWORD

NAMED = b"XCLIENT ADDR=203.0.113.7 PORT=51234\r\n"
BYE = "221 2.0.0 Closing connection"


def trusting(folder, networks=LOOPBACK, *, proxies=(), **more):
    made = config(folder, **more)
    listen = msgspec.structs.replace(made.listen[0], xclient_from=networks, proxy_from=proxies)
    return msgspec.structs.replace(made, listen=[listen])


def dialogue(folder_config, plugins, *exchanges, host="127.0.0.1"):
    """Read the greeting, then send each line and compare the last line of its reply."""

    async def scenario(running):
        client = await from_address(running, host)
        assert await client.reply() == GREETING
        for line, expected in exchanges:
            client.send(line.encode() + b"\r\n")
            assert await client.reply() == expected, line
        await client.close()
        await running.until(lambda: not running.connections.members)

    run(scenario, folder_config, plugins)


async def offered(client):
    """Return the keywords that EHLO offers."""
    client.send(b"EHLO x\r\n")
    lines = [await client.reader.readline()]
    while lines[-1][3:4] == b"-":
        lines.append(await client.reader.readline())
    return [line[4:].decode().strip() for line in lines[1:]]


def test_session_has_the_client_that_a_trusted_host_names(tmp_path, loop):
    recorder, capture = SessionRecorder(), Capture()

    async def scenario(running):
        client = await running.connect()
        assert await client.reply() == GREETING
        assert KEYWORD in await offered(client)
        client.send(
            b"XCLIENT NAME=mail.example ADDR=IPV6:2001:DB8::7 PORT=51234 PROTO=ESMTP"
            b" HELO=mail LOGIN=[UNAVAILABLE] DESTADDR=192.0.2.25 DESTPORT=25\r\n"
        )
        assert await client.reply() == GREETING
        client.send(ENVELOPE + b"DATA\r\n")
        assert await client.codes(4) == ["250", "250", "250", "354"]
        client.send(MESSAGE + b"QUIT\r\n")
        assert await client.codes(2) == ["250", "221"]
        await client.close()
        await running.until(lambda: not running.connections.members)

    run(scenario, trusting(tmp_path), [recorder, capture], loop=loop)
    before, after = recorder.sessions
    assert recorder.left == [before, after]
    assert (before.peer.host, before.via, before.xclient) == ("127.0.0.1", None, None)
    assert after.peer == Endpoint("2001:db8::7", 51234)
    assert after.local == Endpoint("192.0.2.25", 25)
    assert (after.via, after.id) == (before.peer, before.id)
    assert after.xclient == {
        "NAME": "mail.example",
        "ADDR": "2001:db8::7",
        "PORT": "51234",
        "PROTO": "ESMTP",
        "HELO": "mail",
        "LOGIN": "[UNAVAILABLE]",
        "DESTADDR": "192.0.2.25",
        "DESTPORT": "25",
    }
    assert b"Received: from x ([IPv6:2001:db8::7])" in capture.messages[0].content


@pytest.mark.parametrize("networks", [[], PROXY_ONLY])
def test_xclient_from_an_untrusted_address_is_an_unknown_command(tmp_path, networks):
    recorder = SessionRecorder()

    async def scenario(running):
        client = await from_address(running, "127.0.0.9")
        assert await client.reply() == GREETING
        assert not [one for one in await offered(client) if one.startswith("XCLIENT")]
        client.send(NAMED)
        assert await client.reply() == UNKNOWN
        await client.close()

    run(scenario, trusting(tmp_path, networks), [recorder])
    assert [one.peer.host for one in recorder.sessions] == ["127.0.0.9"]


@pytest.mark.parametrize("address", ["203.0.113.7", "IPV6:::1", "[UNAVAILABLE]", "[TEMPUNAVAIL]"])
def test_named_client_cannot_use_xclient(tmp_path, address):
    dialogue(
        trusting(tmp_path),
        [],
        (f"XCLIENT ADDR={address}", GREETING),
        ("XCLIENT ADDR=127.0.0.1", UNKNOWN),
        ("XCLIENT HELO=x", UNKNOWN),
        ("QUIT", BYE),
    )


def test_several_commands_are_accepted_until_the_address_is_named(tmp_path):
    recorder = SessionRecorder()
    dialogue(
        trusting(tmp_path),
        [recorder],
        ("XCLIENT HELO=mail PROTO=SMTP", GREETING),
        ("XCLIENT NAME=[TEMPUNAVAIL] HELO=[UNAVAILABLE]", GREETING),
        ("XCLIENT ADDR=203.0.113.7 PORT=[UNAVAILABLE]", GREETING),
        ("QUIT", BYE),
    )
    assert [one.peer.host for one in recorder.sessions] == [*["127.0.0.1"] * 3, "203.0.113.7"]
    assert [one.helo for one in recorder.sessions] == ["", "mail", "", ""]
    assert recorder.sessions[-1].peer.port == 0
    assert recorder.sessions[-1].xclient == {
        "HELO": "[UNAVAILABLE]",
        "PROTO": "SMTP",
        "NAME": "[TEMPUNAVAIL]",
        "ADDR": "203.0.113.7",
        "PORT": "[UNAVAILABLE]",
    }


def test_named_client_in_a_trusted_network_can_use_xclient(tmp_path):
    dialogue(
        trusting(tmp_path),
        [],
        ("XCLIENT ADDR=127.0.0.2", GREETING),
        ("XCLIENT ADDR=203.0.113.7", GREETING),
        ("XCLIENT ADDR=127.0.0.2", UNKNOWN),
    )


def test_unavailable_address_keeps_that_of_the_connection(tmp_path):
    recorder = SessionRecorder()
    dialogue(
        trusting(tmp_path), [recorder], ("XCLIENT ADDR=[UNAVAILABLE]", GREETING), ("QUIT", BYE)
    )
    assert recorder.sessions[0].peer == recorder.sessions[1].peer


def test_xclient_starts_a_new_session(tmp_path):
    class NoteWriter(Plugin):
        def on_helo(self, session, name):
            session.notes["greeted"] = name

    recorder = SessionRecorder()
    dialogue(
        trusting(tmp_path),
        [recorder, NoteWriter()],
        ("EHLO before", f"250 {KEYWORD}"),
        ("MAIL FROM:<>", "250 2.1.0 Sender ok"),
        ("XCLIENT HELO=x", "503 5.5.1 Bad sequence of commands: a transaction is already open"),
        ("RSET", "250 2.0.0 Ok"),
        ("XCLIENT ADDR=203.0.113.7", GREETING),
        ("MAIL FROM:<>", "503 5.5.1 Bad sequence of commands: EHLO or HELO first"),
        ("HELO after", "250 localhost"),
        ("MAIL FROM:<>", "250 2.1.0 Sender ok"),
    )
    before, after = recorder.sessions
    assert (before.notes, after.notes) == ({"greeted": "before"}, {"greeted": "after"})
    assert (before.helo, before.extended) == ("before", True)
    assert (after.helo, after.extended, after.transactions) == ("after", False, 2)


def test_plugins_get_the_named_address(tmp_path):
    async def scenario(running):
        client = await running.connect()
        assert await client.reply() == GREETING
        client.send(NAMED + b"EHLO x\r\n")
        received = await client.rest()
        assert received.startswith("554 5.7.1 Refused by local policy")
        assert received.count("\r\n") == 1
        await client.close()

    run(scenario, trusting(tmp_path), [SessionRecorder("203.0.113.7")])


def test_limits_count_the_named_addresses(tmp_path):
    async def scenario(running):
        async def named(line):
            client = await running.connect()
            assert await client.reply() == GREETING
            client.send(line)
            return client, await client.reply()

        first, second = await named(NAMED), await named(NAMED)
        assert [first[1], second[1]] == [GREETING, TOO_MANY]
        await second[0].close()
        third = await named(b"XCLIENT ADDR=203.0.113.8\r\n")
        assert third[1] == GREETING
        assert await second[0].rest() == ""
        await first[0].close()
        await running.until(lambda: len(running.connections.members) == 1)
        again = await named(NAMED)
        assert again[1] == GREETING
        for client in (third[0], again[0]):
            await client.close()

    run(scenario, trusting(tmp_path, limits={"connections_per_ip": 1}))


def test_xclient_counts_as_a_command_without_a_message(tmp_path):
    junk = "421 4.7.0 Too many commands without a message"
    dialogue(
        trusting(tmp_path, limits={"junk_commands": 2}),
        [],
        *[("XCLIENT HELO=x", GREETING)] * 2,
        ("XCLIENT HELO=x", junk),
    )


def test_xclient_is_refused_while_the_server_stops(tmp_path):
    class Drain(Plugin):
        def __init__(self):
            super().__init__()
            self.connections = None

        def on_noop(self, session, text):
            self.connections.draining = True

    drain = Drain()

    async def scenario(running):
        drain.connections = running.connections
        client = await running.connect()
        assert await client.reply() == GREETING
        client.send(b"NOOP\r\n" + NAMED)
        assert await client.replies(2) == [
            "250 2.0.0 Ok",
            "421 4.3.2 Server shutting down, try again later",
        ]
        await client.close()

    run(scenario, trusting(tmp_path), [drain])


@pytest.mark.parametrize(
    ("header", "believed"),
    [
        (V1, False),
        (b"PROXY UNKNOWN\r\n", False),
        (v2(b"", family=UNSPECIFIED), False),
        (v2(b"", LOCAL), True),
        (b"PROXY TCP4 127.0.0.2 127.0.0.1 5 25\r\n", True),
    ],
)
def test_client_behind_a_proxy_must_be_trusted_itself(tmp_path, header, believed):
    recorder = SessionRecorder()

    async def scenario(running):
        client = await running.connect()
        client.send(header + NAMED)
        assert await client.replies(2) == [GREETING, GREETING if believed else UNKNOWN]
        await client.close()

    run(scenario, trusting(tmp_path, proxies=PROXY_ONLY), [recorder])
    assert [one.peer.host for one in recorder.sessions[1:]] == ["203.0.113.7"] * believed
    assert {one.via.host for one in recorder.sessions} == {"127.0.0.1"}
    assert len({id(one.proxy) for one in recorder.sessions}) == 1


def test_plugins_edit_the_keywords_of_a_trusted_host(tmp_path):
    class Fewer(Plugin):
        def on_ehlo(self, session, keywords):
            keywords.remove("CHUNKING")

    async def scenario(running):
        client = await running.connect()
        assert await client.reply() == GREETING
        keywords = await offered(client)
        assert "CHUNKING" not in keywords
        assert KEYWORD in keywords
        await client.close()

    run(scenario, trusting(tmp_path), [Fewer()])


def test_xclient_is_accepted_over_lmtp(tmp_path):
    made = trusting(tmp_path, proxies=PROXY_ONLY)
    lmtp = msgspec.structs.replace(made.listen[0], protocol="lmtp")
    recorder = SessionRecorder()

    async def scenario(running):
        client = await running.connect()
        client.send(v2(b"", LOCAL) + b"LHLO x\r\n" + NAMED)
        greeting, hello, again = await client.replies(3)
        assert (hello, again) == (f"250 {KEYWORD}", greeting)
        client.send(b"MAIL FROM:<>\r\nEHLO x\r\nLHLO x\r\n")
        assert await client.codes(3) == ["503", "500", "250"]
        await client.close()

    run(scenario, msgspec.structs.replace(made, listen=[lmtp]), [recorder])
    assert [one.protocol for one in recorder.sessions] == ["lmtp", "lmtp"]
    assert recorder.sessions[-1].peer.host == "203.0.113.7"
