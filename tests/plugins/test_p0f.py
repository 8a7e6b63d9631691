"""The operating system of a client, by a server that speaks the protocol, and by a real p0f."""

import asyncio
import socket
import struct
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools import p0f as real
from tools import peers

from gatepost import Endpoint, Plugin, Session
from gatepost.plugin.base import Installed
from gatepost.plugins.p0f import RESPONSE, P0f, System, decode_response, encode_query, query
from gatepost.testing import play_async

PEER = ("198.51.100.7", 50000)
HELLO = "S: 220\nC: EHLO client.example\nS: 250\n"
MAIL = "C: MAIL FROM:<a@client.example>\nS: 250\nC: RCPT TO:<{}@example.com>\nS: {}\n"


def response(name=b"Windows", flavour=b"XP", status=0x10, magic=0x50304602):
    """Return a response octet by octet, as api.h of p0f 3.09b describes it."""
    numbers = struct.pack("=9I", magic, status, 1, 2, 3, 4_000, 49, 0, 0)
    return b"".join(
        [
            numbers,
            struct.pack("=h", 12),
            b"\0\3",
            name.ljust(32, b"\0"),
            flavour.ljust(32, b"\0"),
            bytes(64),
            b"Ethernet or modem".ljust(32, b"\0"),
            bytes(32),
        ]
    )


XP = response()


class Found(Plugin):
    after = frozenset({"p0f"})

    def __init__(self):
        super().__init__()
        self.results = []

    def on_helo(self, session, name):
        self.results.append(session.results.get("p0f"))


@asynccontextmanager
async def answering(path, answer):
    """Serve a socket; `answer` gets the query and returns the response, None for none at all."""
    asked, writers = [], []

    async def serve(reader, writer):
        writers.append(writer)
        asked.append(await reader.readexactly(21))
        if answer is not None:
            writer.write(answer)
            writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield asked
    finally:
        server.close()
        for one in writers:
            one.close()
            await one.wait_closed()


def run(tmp_path, answer, transcript=HELLO, peer=PEER, *, shadow=False, **options):
    """Return what was played, the results by HELO, and the queries."""
    path, seen = tmp_path / "p0f.sock", Found()
    plugin = P0f(socket=str(path), **options)

    async def scenario():
        async with answering(path, answer) as asked:
            played = await play_async(
                transcript, [Installed(plugin, shadow=shadow), seen], peer=peer
            )
            return played, seen.results, asked

    return asyncio.run(scenario())


def test_the_system_of_a_client_is_a_fact(tmp_path):
    _, (result,), asked = run(tmp_path, XP, systems={"windows xp": 4, "windows": 1})
    assert asked == [bytes.fromhex("01463050 04 c6336407") + bytes(12)]
    assert (result.value, result.score) == ("known", 4)
    assert dict(result.facts) == {
        "system": "Windows XP",
        "distance": 12,
        "uptime": 4000,
        "link": "Ethernet or modem",
        "score": 4.0,
    }


def test_a_client_with_an_ipv6_address(tmp_path):
    _, _, asked = run(tmp_path, XP, peer=("2001:db8::7", 1))
    assert asked == [bytes.fromhex("01463050 06 20010db8000000000000000000000007")]


@pytest.mark.parametrize("address", ["64:ff9b::c633:6407", "2002:c633:6407::1"])
def test_p0f_is_asked_for_the_address_that_packets_have(tmp_path, address):
    _, _, asked = run(tmp_path, XP, peer=(address, 50000))
    assert asked == [encode_query(ip_address(address))]


def test_p0f_is_asked_once_in_a_session(tmp_path):
    _, results, asked = run(tmp_path, XP, HELLO + "C: EHLO other.example\nS: 250")
    assert (len(asked), results[0]) == (1, results[1])


@pytest.mark.parametrize("word", ["deny", "defer"])
def test_a_system_can_be_refused(tmp_path, word):
    code = {"deny": "550 5", "defer": "450 4"}[word]
    refused = MAIL.format("user", f"{code}.7.1 Your operating system is not that of a mail server*")
    played, _, _ = run(tmp_path, XP, HELLO + refused, systems={"Windows": word})
    assert [(one.hook, one.verdict) for one in played.decisions] == [("rcpt", word)]


def test_a_system_can_be_refused_at_helo(tmp_path):
    refused = "S: 220\n" + "C: EHLO x.example\nS: 550\n" * 2
    run(tmp_path, XP, refused, systems={"XP": "deny"}, decide_at="helo")


@pytest.mark.parametrize(
    ("systems", "user"),
    [({}, "user"), ({"Linux": "deny"}, "user"), ({"Windows": "deny"}, "postmaster")],
)
def test_others_are_not_refused(tmp_path, systems, user):
    run(tmp_path, XP, HELLO + MAIL.format(user, "250"), systems=systems)


def test_in_shadow_mode_nothing_is_refused(tmp_path):
    mail = HELLO + MAIL.format("user", "250")
    run(tmp_path, XP, mail, shadow=True, systems={"Windows": "deny"})


@pytest.mark.parametrize("answer", [response(status=0x20), response(b"", b"")])
def test_a_system_that_is_not_recognised(tmp_path, answer):
    _, (result,), _ = run(tmp_path, answer, systems={"Windows": 4})
    assert (result.value, result.facts["system"], result.score) == ("unknown", "", 0)


@pytest.mark.parametrize(
    "answer", [None, b"", XP[:-1], response(magic=1), response(status=0), response(status=7)]
)
def test_a_wrong_answer_is_no_opinion(tmp_path, answer):
    played, (result,), _ = run(tmp_path, answer, timeout="20ms")
    assert (result.value, result.score) == ("temperror", 0)
    assert played.metrics.value("gatepost_plugin_p0f_unanswered") == 1


def test_without_p0f_no_session_asks_for_a_while(tmp_path):
    plugin, seen = P0f(socket=str(tmp_path / "none")), Found()
    transcript = "S: 220\nC: EHLO a.example\nS: 250\nT: 11s\nC: EHLO a.example\nS: 250"
    played = asyncio.run(play_async(transcript, [plugin, seen], peer=PEER))
    assert played.metrics.value("gatepost_plugin_p0f_unanswered") == 1
    assert seen.results[0].value == "temperror"

    async def two():
        await play_async(HELLO, [plugin, seen], peer=PEER)
        await play_async(HELLO, [plugin, seen], peer=PEER)

    asyncio.run(two())
    assert seen.results[-1] is None


def test_an_outage_is_logged_once_and_its_end_too(tmp_path):
    path = tmp_path / "p0f.sock"
    plugin, lines = P0f(socket=str(path)), []

    class Log:
        def __getattr__(self, level):
            return lambda event, **fields: lines.append((level, event))

    plugin.log = Log()

    async def scenario():
        await play_async(HELLO, [plugin], peer=PEER, now="2024-01-01T00:00")
        await play_async(HELLO, [plugin], peer=PEER, now="2024-01-01T00:01")
        async with answering(path, XP):
            await play_async(HELLO, [plugin], peer=PEER, now="2024-01-01T00:02")

    asyncio.run(scenario())
    assert lines == [("warning", "p0f unavailable"), ("info", "p0f available")]


@pytest.mark.parametrize("address", ["127.0.0.1", "192.168.0.1", "local"])
def test_internal_clients_are_not_asked_about(tmp_path, address):
    _, results, asked = run(tmp_path, XP, peer=(address, 1))
    assert (results, asked) == ([None], [])


def test_p0f_is_not_asked_about_a_client_behind_a_proxy(tmp_path):
    there = (Endpoint(*PEER), Endpoint("192.0.2.25", 25))
    proxied = Session("1", *there, 0.0, via=Endpoint("203.0.113.1", 1))
    assert asyncio.run(P0f(socket=str(tmp_path / "none")).on_helo(proxied, "x")) is None
    assert "p0f" not in proxied.results


def test_the_time_out_is_checked():
    with pytest.raises(ValueError, match="expected a time-out"):
        P0f(timeout="0s")


def test_a_response_has_232_octets():
    assert (RESPONSE.size, len(XP), len(encode_query(ip_address("::1")))) == (232, 232, 21)
    assert decode_response(XP) == System("Windows", "XP", 12, 4000, "Ethernet or modem")


def test_names_are_printable():
    system = decode_response(response(b"\x1b[31m\xff\n", b"x" * 32))
    assert (system.name, system.flavour) == ("?[31m??", "x" * 32)


@given(st.binary(min_size=232, max_size=232) | st.binary(min_size=224, max_size=224))
def test_any_response_is_read_or_refused(data):
    data = data if len(data) == 232 else XP[:8] + data
    try:
        system = decode_response(data)
    except ValueError:
        return
    assert str(system).isprintable()


@pytest.mark.skipif(bool(real.why_not()), reason=real.why_not() or "runs")
def test_a_real_p0f_recognises_this_system(tmp_path):
    try:
        with real.running(tmp_path) as path:
            system = asyncio.run(ask_until_known(path))
            stranger = asyncio.run(query(path, ip_address("192.0.2.99")))
    except peers.UnavailableError as error:
        pytest.skip(str(error))
    assert system.name == "Linux"
    assert stranger.name == ""


async def ask_until_known(path):
    """Connect over the loopback interface until p0f has seen it: it reads packets in batches."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        system = System("", "", -1, 0, "")
        for _ in range(1000):
            with socket.create_connection(listener.getsockname()):
                system = await query(path, ip_address("127.0.0.1"))
            listener.accept()[0].close()
            if system.name:
                break
    return system
