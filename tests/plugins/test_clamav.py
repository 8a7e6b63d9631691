"""ClamAV: a real clamd with a signature of the test, and the answers of one."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.scanners import Seen, installed, large, sent, service
from tools import clamd
from tools.daemon import free_port

from gatepost.plugins._scanner import ScannerError
from gatepost.plugins.clamav import Answer, Clamav, framed, parse_answer

EICAR = f"Subject: x\n\n{clamd.EICAR.decode()}"
CLEAN = "Subject: x\n\ntext"
real = pytest.mark.skipif(bool(clamd.why_not()), reason=clamd.why_not() or "runs")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The addresses of a real clamd."""
    port = free_port()
    with clamd.running(tmp_path_factory.mktemp("clamd"), port) as path:
        yield {"unix": f"unix:{path}", "tcp": f"127.0.0.1:{port}", "name": f"localhost:{port}"}


def send(content, reply="250", *, shadow=False, **options):
    """Send a message; return the results, and what was played."""
    seen = Seen()
    plugins = [installed(Clamav(**options), shadow=shadow), seen]
    played = asyncio.run(sent(plugins, content, reply))
    return seen.results, played


@real
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["unix", "tcp", "name"])
def test_a_virus_is_refused_and_other_mail_is_not(server, kind):
    refused = "554 5.7.1 Message contains a virus: Test.Eicar.UNOFFICIAL*"
    (found,), played = send(EICAR, refused, server=server[kind])
    assert (found.value, found.facts["signature"]) == ("infected", "Test.Eicar.UNOFFICIAL")
    assert [one.reason for one in played.decisions] == ["virus"]
    (found,), played = send(CLEAN, server=server[kind])
    assert found.value == "clean"
    assert len(played.messages) == 1


@real
@pytest.mark.slow
def test_clamd_answers_about_its_own_limit_before_the_end(server):
    """clamd closes the connection while the message is still sent."""
    too_large = "552 5.3.4 Message is too large to be scanned*"
    (found,), _ = send(large(3 * clamd.LARGEST), too_large, server=server["unix"])
    assert found.value == "skipped"


@real
@pytest.mark.slow
def test_a_virus_at_the_end_of_a_large_message_is_found(server):
    content = large(clamd.LARGEST - 10_000) + clamd.EICAR.decode()
    send(content, "554", server=server["unix"])


@real
@pytest.mark.slow
def test_a_clamd_that_is_killed_defers_mail(tmp_path):
    with clamd.running(tmp_path) as path:
        send(CLEAN, server=f"unix:{path}")
    (found,), _ = send(CLEAN, "451 4.3.0 Temporary local problem*", server=f"unix:{path}")
    assert found.value == "temperror"


def answering(answer, content=CLEAN, reply="250", *, tmp_path, **options):
    """Send a message while a service of the test answers; return the results and the request."""
    seen, requests = Seen(), []

    async def handle(reader, writer):
        request = await reader.readexactly(10)
        while size := int.from_bytes(await reader.readexactly(4), "big"):
            request += await reader.readexactly(size)
        requests.append(request)
        writer.write(answer)

    async def scenario():
        path = tmp_path / "clamd"
        shadow = options.pop("shadow", False)
        plugin = installed(Clamav(server=f"unix:{path}", **options), shadow=shadow)
        async with service(path, handle):
            return await sent([plugin, seen], content, reply)

    played = asyncio.run(scenario())
    return seen.results, requests, played


def test_the_content_is_sent_as_received(tmp_path):
    _, (request,), _ = answering(b"stream: OK\0", "Subject: x\n\n..a", tmp_path=tmp_path)
    assert request == b"zINSTREAM\0Subject: x\r\n\r\n.a\r\n"


INFECTED = b"stream: Eicar-Test FOUND\0"


@pytest.mark.parametrize(
    ("options", "reply", "score"),
    [
        ({"infected": "defer"}, "451 4.7.1 Message contains a virus: Eicar-Test*", 0),
        ({"infected": 7}, "250", 7),
        ({"infected": "none"}, "250", 0),
        ({"text": "no {signature} here"}, "554 5.7.1 no Eicar-Test here*", 0),
        ({"shadow": True}, "250", 0),
    ],
)
def test_the_reaction_to_a_virus_is_an_option(tmp_path, options, reply, score):
    (found,), _, _ = answering(INFECTED, reply=reply, tmp_path=tmp_path, **options)
    assert (found.value, found.score) == ("infected", score)


def test_a_virus_can_be_held(tmp_path):
    _, _, played = answering(INFECTED, tmp_path=tmp_path, infected="hold")
    assert [one.quarantined for one in played.messages] == ["virus"]


def test_the_messages_are_counted(tmp_path):
    _, _, played = answering(INFECTED, reply="554", tmp_path=tmp_path)
    assert played.metrics.value("gatepost_plugin_clamav_messages", result="infected") == 1


@pytest.mark.parametrize(
    ("reaction", "reply"), [("deny", "552 5.3.4 {}"), ("none", "250"), ("defer", "451 4.3.4 {}")]
)
def test_a_message_that_is_too_large_is_not_sent(tmp_path, reaction, reply):
    reply = reply.format("Message is too large to be scanned*")
    options = {"largest": 10, "too_large": reaction}
    found, requests, _ = answering(b"", CLEAN, reply, tmp_path=tmp_path, **options)
    assert ([one.value for one in found], requests) == (["skipped"], [])


@pytest.mark.parametrize("server", ["", "unix:", "unix:relative", "host", "host:0", "::1:1", "a:x"])
def test_a_wrong_address_is_an_error_at_start(server):
    with pytest.raises(ValueError, match="expected"):
        Clamav(server=server)


@pytest.mark.parametrize("server", ["[::1]:3310", "localhost:3310", "unix:/run/x"])
def test_addresses(server):
    assert Clamav(server=server).options.server == server


@pytest.mark.parametrize(("name", "value"), [("timeout", "0s"), ("most", 0), ("most", 2000)])
def test_limits_are_checked(name, value):
    with pytest.raises(ValueError, match=f"{name}: expected"):
        Clamav(**{name: value})


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        (b"stream: OK\0", Answer()),
        (b"stream: Win.Test-1 FOUND\0", Answer("Win.Test-1")),
        (b"stream: two words FOUND\0", Answer("two words")),
        (b"stream: a\x1b\xffb FOUND\0", Answer("a??b")),
        (b"stream:  FOUND\0", Answer("unnamed")),
        (b"INSTREAM size limit exceeded. ERROR\0", Answer(is_too_large=True)),
    ],
)
def test_answers(octets, answer):
    assert parse_answer(octets) == answer


@pytest.mark.parametrize(
    "octets",
    [b"", b"\0", b"stream: OK", b"stream: NOT OK\0", b"UNKNOWN COMMAND\0", b"stream: x ERROR\0"],
)
def test_other_answers_are_failures(octets):
    with pytest.raises(ScannerError):
        parse_answer(octets)


@given(st.binary() | st.binary().map(lambda one: b"stream: " + one + b" FOUND\0"))
def test_any_answer_is_read_or_refused(octets):
    try:
        answer = parse_answer(octets)
    except ScannerError:
        return
    assert answer.signature.isprintable()
    assert answer != Answer() or octets.endswith(b"OK\0")


@given(st.lists(st.binary(min_size=1)))
def test_chunks_have_their_lengths(pieces):
    octets = b"".join(framed(pieces)).removeprefix(b"zINSTREAM\0")
    found = []
    while size := int.from_bytes(octets[:4], "big"):
        found.append(octets[4 : 4 + size])
        octets = octets[4 + size :]
    assert (found, octets) == (pieces, bytes(4))
