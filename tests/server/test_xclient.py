"""Who is calling, where a host in front says so with XCLIENT: believed from its networks only."""

import msgspec
import pytest
from tests.server.loopback import ENVELOPE, MESSAGE, config, run
from tests.server.test_proxy import (
    GREETING,
    LOOPBACK,
    PROXY_ONLY,
    TOO_MANY,
    UNKNOWN,
    Doorman,
    from_address,
)
from tests.wire.headers import LOCAL, UNSPECIFIED, V1, v2

from gatepost.model.endpoint import Endpoint
from gatepost.plugin.base import Plugin
from gatepost.testing import Capture
from gatepost.wire.smtp.xclient import KEYWORD

NAMED = b"XCLIENT ADDR=203.0.113.7 PORT=51234\r\n"
BYE = "221 2.0.0 Closing connection"


def trusting(folder, networks=LOOPBACK, *, proxies=(), **more):
    made = config(folder, **more)
    listen = msgspec.structs.replace(made.listen[0], xclient_from=networks, proxy_from=proxies)
    return msgspec.structs.replace(made, listen=[listen])


def talk(folder_config, plugins, *exchanges, host="127.0.0.1"):
    """Say each line and compare the reply's last line; the greeting is read."""

    async def scenario(house):
        client = await from_address(house, host)
        assert await client.reply() == GREETING
        for line, expected in exchanges:
            client.send(line.encode() + b"\r\n")
            assert await client.reply() == expected, line
        await client.close()
        await house.until(lambda: not house.worker.connections)

    run(scenario, folder_config, plugins)


async def offered(client):
    """Return the keywords that EHLO offers."""
    client.send(b"EHLO x\r\n")
    lines = [await client.reader.readline()]
    while lines[-1][3:4] == b"-":
        lines.append(await client.reader.readline())
    return [line[4:].decode().strip() for line in lines[1:]]


def test_the_client_is_whom_the_host_in_front_names(tmp_path, loop):
    doorman, capture = Doorman(), Capture()

    async def scenario(house):
        client = await house.connect()
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
        await house.until(lambda: not house.worker.connections)

    run(scenario, trusting(tmp_path), [doorman, capture], loop=loop)
    before, after = doorman.sessions
    assert doorman.left == [before, after]
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
def test_nobody_else_is_offered_it_or_believed(tmp_path, networks):
    doorman = Doorman()

    async def scenario(house):
        client = await from_address(house, "127.0.0.9")
        assert await client.reply() == GREETING
        assert not [one for one in await offered(client) if one.startswith("XCLIENT")]
        client.send(NAMED)
        assert await client.reply() == UNKNOWN
        await client.close()

    run(scenario, trusting(tmp_path, networks), [doorman])
    assert [one.peer.host for one in doorman.sessions] == ["127.0.0.9"]


@pytest.mark.parametrize("address", ["203.0.113.7", "IPV6:::1", "[UNAVAILABLE]", "[TEMPUNAVAIL]"])
def test_a_client_that_was_named_names_nobody(tmp_path, address):
    talk(
        trusting(tmp_path),
        [],
        (f"XCLIENT ADDR={address}", GREETING),
        ("XCLIENT ADDR=127.0.0.1", UNKNOWN),
        ("XCLIENT HELO=x", UNKNOWN),
        ("QUIT", BYE),
    )


def test_several_commands_until_the_address_is_given(tmp_path):
    doorman = Doorman()
    talk(
        trusting(tmp_path),
        [doorman],
        ("XCLIENT HELO=mail PROTO=SMTP", GREETING),
        ("XCLIENT NAME=[TEMPUNAVAIL] HELO=[UNAVAILABLE]", GREETING),
        ("XCLIENT ADDR=203.0.113.7 PORT=[UNAVAILABLE]", GREETING),
        ("QUIT", BYE),
    )
    assert [one.peer.host for one in doorman.sessions] == [*["127.0.0.1"] * 3, "203.0.113.7"]
    assert [one.helo for one in doorman.sessions] == ["", "mail", "", ""]
    assert doorman.sessions[-1].peer.port == 0
    assert doorman.sessions[-1].xclient == {
        "HELO": "[UNAVAILABLE]",
        "PROTO": "SMTP",
        "NAME": "[TEMPUNAVAIL]",
        "ADDR": "203.0.113.7",
        "PORT": "[UNAVAILABLE]",
    }


def test_a_host_that_is_trusted_itself_may_be_named_and_name(tmp_path):
    talk(
        trusting(tmp_path),
        [],
        ("XCLIENT ADDR=127.0.0.2", GREETING),
        ("XCLIENT ADDR=203.0.113.7", GREETING),
        ("XCLIENT ADDR=127.0.0.2", UNKNOWN),
    )


def test_an_unknown_address_leaves_that_of_the_connection(tmp_path):
    doorman = Doorman()
    talk(trusting(tmp_path), [doorman], ("XCLIENT ADDR=[UNAVAILABLE]", GREETING), ("QUIT", BYE))
    assert doorman.sessions[0].peer == doorman.sessions[1].peer


def test_nothing_of_the_session_before_is_left(tmp_path):
    class Writer(Plugin):
        def on_helo(self, session, name):
            session.notes["greeted"] = name

    doorman = Doorman()
    talk(
        trusting(tmp_path),
        [doorman, Writer()],
        ("EHLO before", f"250 {KEYWORD}"),
        ("MAIL FROM:<>", "250 2.1.0 Sender ok"),
        ("XCLIENT HELO=x", "503 5.5.1 Bad sequence of commands: a transaction is already open"),
        ("RSET", "250 2.0.0 Ok"),
        ("XCLIENT ADDR=203.0.113.7", GREETING),
        ("MAIL FROM:<>", "503 5.5.1 Bad sequence of commands: EHLO or HELO first"),
        ("HELO after", "250 localhost"),
        ("MAIL FROM:<>", "250 2.1.0 Sender ok"),
    )
    before, after = doorman.sessions
    assert (before.notes, after.notes) == ({"greeted": "before"}, {"greeted": "after"})
    assert (before.helo, before.extended) == ("before", True)
    assert (after.helo, after.extended, after.transactions) == ("after", False, 2)


def test_plugins_judge_whom_it_names(tmp_path):
    async def scenario(house):
        client = await house.connect()
        assert await client.reply() == GREETING
        client.send(NAMED + b"EHLO x\r\n")
        said = await client.rest()
        assert said.startswith("554 5.7.1 Refused by local policy [")
        assert said.count("\r\n") == 1
        await client.close()

    run(scenario, trusting(tmp_path), [Doorman("203.0.113.7")])


def test_limits_count_whom_it_names(tmp_path):
    async def scenario(house):
        async def named(line):
            client = await house.connect()
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
        await house.until(lambda: len(house.worker.connections) == 1)
        again = await named(NAMED)
        assert again[1] == GREETING
        for client in (third[0], again[0]):
            await client.close()

    run(scenario, trusting(tmp_path, limits={"connections_per_ip": 1}))


def test_it_counts_as_junk(tmp_path):
    junk = "421 4.7.0 Too many commands without a message"
    talk(
        trusting(tmp_path, limits={"junk_commands": 2}),
        [],
        *[("XCLIENT HELO=x", GREETING)] * 2,
        ("XCLIENT HELO=x", junk),
    )


def test_a_stop_refuses_whom_it_names(tmp_path):
    class Slow(Plugin):
        def __init__(self):
            super().__init__()
            self.worker = None

        def on_noop(self, session):
            self.worker.draining = True

    slow = Slow()

    async def scenario(house):
        slow.worker = house.worker
        client = await house.connect()
        assert await client.reply() == GREETING
        client.send(b"NOOP\r\n" + NAMED)
        assert await client.replies(2) == [
            "250 2.0.0 Ok",
            "421 4.3.2 Server is shutting down, try again later",
        ]
        await client.close()

    run(scenario, trusting(tmp_path), [slow])


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
def test_behind_a_proxy_it_is_the_client_that_has_to_be_trusted(tmp_path, header, believed):
    doorman = Doorman()

    async def scenario(house):
        client = await house.connect()
        client.send(header + NAMED)
        assert await client.replies(2) == [GREETING, GREETING if believed else UNKNOWN]
        await client.close()

    run(scenario, trusting(tmp_path, proxies=PROXY_ONLY), [doorman])
    assert [one.peer.host for one in doorman.sessions[1:]] == ["203.0.113.7"] * believed
    assert {one.via.host for one in doorman.sessions} == {"127.0.0.1"}
    assert len({id(one.proxy) for one in doorman.sessions}) == 1


def test_plugins_change_what_ehlo_offers_here_too(tmp_path):
    class Fewer(Plugin):
        def on_ehlo(self, session, keywords):
            keywords.remove("CHUNKING")

    async def scenario(house):
        client = await house.connect()
        assert await client.reply() == GREETING
        keywords = await offered(client)
        assert "CHUNKING" not in keywords
        assert KEYWORD in keywords
        await client.close()

    run(scenario, trusting(tmp_path), [Fewer()])


def test_lmtp_has_it_too(tmp_path):
    made = trusting(tmp_path, proxies=PROXY_ONLY)
    lmtp = msgspec.structs.replace(made.listen[0], protocol="lmtp")
    doorman = Doorman()

    async def scenario(house):
        client = await house.connect()
        client.send(v2(b"", LOCAL) + b"LHLO x\r\n" + NAMED)
        greeting, hello, again = await client.replies(3)
        assert (hello, again) == (f"250 {KEYWORD}", greeting)
        client.send(b"MAIL FROM:<>\r\nEHLO x\r\nLHLO x\r\n")
        assert await client.codes(3) == ["503", "500", "250"]
        await client.close()

    run(scenario, msgspec.structs.replace(made, listen=[lmtp]), [doorman])
    assert [one.protocol for one in doorman.sessions] == ["lmtp", "lmtp"]
    assert doorman.sessions[-1].peer.host == "203.0.113.7"
