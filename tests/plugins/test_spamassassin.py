"""SpamAssassin: a real spamd with its own rules, and responses of one."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.plugins.scanners import GTUBE, HELLO, Seen, installed, large, mail, sent, service
from tests.plugins.states import make_recipient, make_transaction
from tools import spamd

from gatepost import Message, Plugin, accept
from gatepost.plugins._scanner import ScannerError
from gatepost.plugins._spamd import Verdict, parse_response
from gatepost.plugins.spamassassin import Spamassassin
from gatepost.testing import play_async

real = pytest.mark.skipif(bool(spamd.why_not()), reason=spamd.why_not() or "runs")
CONTENT = "Subject: x\n\ntext"
SPAM = f"X-Spam-Flag: NO\nX-Spam-Old: 1\nSubject: x\n\n{GTUBE}"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A real spamd."""
    with spamd.running(tmp_path_factory.mktemp("spamd")) as running:
        yield running


def send(content, reply="250", *, envelope=None, **options):
    """Send a message; return its result, and what was played."""
    seen = Seen()
    played = asyncio.run(sent([Spamassassin(**options), seen], content, reply, **envelope or {}))
    return seen.results[0], played


@real
@pytest.mark.slow
@pytest.mark.parametrize("mark", [True, False])
def test_gtube_is_refused(server, mark):
    refused = "554 5.7.1 Message looks like spam*"
    found, played = send(SPAM, refused, server=f"127.0.0.1:{server.tcp}", mark=mark)
    assert found.value == "spam"
    assert found.facts["points"] >= 1000
    assert found.facts["required"] == 5
    assert {"GTUBE", "MISSING_DATE"} <= set(found.facts["rules"].split())
    assert [one.reason for one in played.decisions] == ["spam"]


@real
@pytest.mark.slow
def test_spam_is_marked_if_it_is_not_refused(server):
    _, played = send(SPAM, server=f"unix:{server.unix}", deny=0)
    parsed = played.messages[0].parse()
    assert parsed.get_all("Subject") == ["[SPAM] x"]
    assert parsed.get_all("X-Spam-Flag") == ["YES"]
    assert parsed["X-Spam-Status"].startswith("Yes, score=")
    assert "X-Spam-Old" not in parsed


@real
@pytest.mark.slow
def test_other_mail_has_its_subject(server):
    names = {
        "From": "a@client.example",
        "To": "user@example.com",
        "Message-ID": "<1@client.example>",
    }
    names |= {"Date": "Mon, 01 Jan 2024 00:00:00 +0000", "Subject": "x"}
    content = "".join(f"{name}: {value}\n" for name, value in names.items()) + "\ntext"
    found, played = send(content, server=f"unix:{server.unix}", weight=2)
    parsed = played.messages[0].parse()
    assert (found.value, found.score) == ("ham", 2 * found.facts["points"])
    assert (parsed["Subject"], parsed["X-Spam-Flag"]) == ("x", None)


def relay(server, hello, *plugins, sender="a@client.example", **options):
    """Return what SpamAssassin has read about the client: its facts by their names."""

    async def scenario():
        plugin = Spamassassin(server=f"unix:{server.unix}", deny=0)
        transcript = hello + mail(CONTENT, sender=sender)
        return await play_async(transcript, [*plugins, plugin], **options)

    [message] = asyncio.run(scenario()).messages
    sender = message.parse()["X-Spam-Sender"]
    words = message.parse()["X-Spam-Relays"].replace("\n", "").strip("[] ").split()
    return dict(word.partition("=")[::2] for word in words) | {"sender": sender}


@real
@pytest.mark.slow
def test_spamassassin_reads_the_facts_of_the_client(server):
    class Named(Plugin):
        def on_connect(self, session):
            session.results.add("iprev", "pass", name="mail.client.example")

    found = relay(server, HELLO, Named(), peer=("203.0.113.9", 1))
    names = ("ip", "rdns", "helo", "by", "auth", "sender")
    assert [found[name] for name in names] == [
        *("203.0.113.9", "mail.client.example", "client.example", "localhost"),
        *("", "client.example"),
    ]


@real
@pytest.mark.slow
def test_spamassassin_sees_that_a_client_has_authenticated(server):
    class Login(Plugin):
        def on_auth(self, session, attempt):
            return accept()

    hello = HELLO + "    C: AUTH PLAIN AEFsaWNlAHNlY3JldA==\n    S: 235\n"
    config = {"auth": {"clear": True}, "listen": [{"auth": True}]}
    found = relay(server, hello, Login(), config=config, peer=("203.0.113.9", 1))
    assert found["auth"] == "ESMTPA"


@real
@pytest.mark.slow
@pytest.mark.parametrize("name", ["a)b(", "[IPv6:::1]", "x;y"])
def test_a_strange_helo_does_not_hide_the_client(server, name):
    hello = HELLO.replace("client.example", name)
    assert relay(server, hello, peer=("203.0.113.9", 1))["ip"] == "203.0.113.9"


@real
@pytest.mark.slow
@pytest.mark.parametrize(
    ("rcpts", "user"),
    [(["User@example.com"], "of user at example.com:"), (["a@example.com", "b@example.com"], "")],
)
def test_the_user_of_a_single_recipient(server, rcpts, user):
    before = len(server.log.read_text())
    options = {"user": "of-{user}-at-{domain}", "deny": 0, "server": f"unix:{server.unix}"}
    send(CONTENT, envelope={"rcpts": rcpts}, **options)
    expected = f" for {user.replace(' ', '-')}" if user else " for (unknown):"
    assert expected in server.log.read_text()[before:]


@real
@pytest.mark.slow
def test_a_spamd_that_is_killed_defers_mail(tmp_path):
    with spamd.running(tmp_path) as running:
        send(CONTENT, server=f"unix:{running.unix}", deny=0)
    found, _ = send(CONTENT, "451 4.3.0 Temporary local*", server=f"unix:{running.unix}")
    assert found.value == "temperror"


# Responses of the test


def response(points, body=b"", *, spam=False, threshold=5):
    verdict = f"{spam} ; {points} / {threshold}"
    head = f"SPAMD/1.1 0 EX_OK\r\nContent-length: {len(body)}\r\nSpam: {verdict}\r\n\r\n"
    return head.encode() + body


def answering(octets, content=CONTENT, reply="250", *, tmp_path, shadow=False, **options):
    """Send a message while a service answers; return the result, the request, what was played."""
    requests, seen = [], Seen()

    async def handle(reader, writer):
        requests.append(await reader.read())
        writer.write(octets)

    async def scenario():
        path = tmp_path / "spamd"
        plugin = installed(Spamassassin(server=f"unix:{path}", **options), shadow=shadow)
        async with service(path, handle):
            return await sent([plugin, seen], content, reply)

    played = asyncio.run(scenario())
    return seen.results[0], requests, played


@pytest.mark.parametrize(
    ("points", "options", "reply"),
    [
        (9.9, {}, "250"),
        (10, {}, "554 5.7.1 Message looks like spam*"),
        (10, {"text": "no"}, "554 5.7.1 no*"),
        (10, {"deny": 0}, "250"),
        (10, {"shadow": True}, "250"),
    ],
)
def test_spam_is_refused_from_a_number_of_points(tmp_path, points, options, reply):
    answering(response(points, spam=True), reply=reply, tmp_path=tmp_path, **options)


def test_the_request_ends_and_has_the_envelope_in_front(tmp_path):
    _, (request,), _ = answering(response(0), tmp_path=tmp_path, user="alice", mark=False)
    head, _, content = request.partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"SYMBOLS SPAMC/1.5",
        f"Content-length: {len(content)}".encode(),
        b"User: alice",
    ]
    assert content.startswith(b"Return-Path: <a@client.example>\r\nReceived: from client.example (")
    assert content.endswith(b"\r\nSubject: x\r\n\r\ntext\r\n")


def test_a_message_that_is_too_large_is_accepted_without_a_scan(tmp_path):
    found, requests, _ = answering(b"", large(600_000), tmp_path=tmp_path)
    assert (found.value, found.facts["reason"], requests) == ("skipped", "too large", [])


def test_fields_that_cannot_be_added_leave_the_message_as_it_is(tmp_path):
    body = b"X-Spam-Flag: YES\r\nX-Spam-Long: " + b"x" * 2000 + b"\r\n"
    _, _, played = answering(response(6, body, spam=True), tmp_path=tmp_path)
    assert len(played.messages) == 1


@pytest.mark.parametrize("user", ["{name}", "{", "{user.x}", "{0}"])
def test_a_wrong_user_is_an_error_at_start(user):
    with pytest.raises(ValueError, match="user: "):
        Spamassassin(user=user)


def test_the_points_are_checked():
    with pytest.raises(ValueError, match="deny, hold: expected"):
        Spamassassin(deny=-1)


def test_the_rules_of_symbols():
    found = parse_response("SYMBOLS", response(6.5, b"A_1,B, \xffC,D\r\n", spam=True))
    assert found == Verdict(True, 6.5, 5, ("A_1", "B", "D"))


def test_a_message_without_rules():
    assert parse_response("SYMBOLS", response("-1.0")) == Verdict(False, -1, 5)
    body = b"X-Spam-Status: No, score=0 required=5 tests=none autolearn=no version=4\n"
    assert parse_response("HEADERS", response(0, body)).rules == ()


def test_the_fields_of_headers():
    body = (
        b"X-Spam-Status: Yes, tests=A,\r\n\tB autolearn=no\r\nReceived: x\nX-SPAM-Level: \xff*\n"
        b"Subject: one\r\nSubject: two\r\n\r\n"
    )
    assert parse_response("HEADERS", response(6, body, spam=True)) == Verdict(
        True,
        6,
        5,
        ("A", "B"),
        (("X-Spam-Status", "Yes, tests=A, B autolearn=no"), ("X-SPAM-Level", "\ufffd*")),
        "one",
    )


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"SPAMD/1.1 0 EX_OK\r\n",
        b"SPAMD/1.0 76 Bad header line\r\n",
        b"SPAMD/1.1 0 EX_OK\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\nSpam: Maybe ; 1 / 5\r\n\r\n",
        b"SPAMD/1.1 0 EX_OK\r\nContent-length: 0\r\nSpam: True ; nan / 5\r\n\r\n",
        response(1, b"A,B")[:-1],
        response("1" * 400),
    ],
)
def test_another_response_is_a_failure(octets):
    with pytest.raises(ScannerError):
        parse_response("SYMBOLS", octets)


@given(
    st.sampled_from(["SYMBOLS", "HEADERS"]), st.binary() | st.binary().map(lambda b: response(1, b))
)
def test_any_response_is_read_or_refused(command, octets):
    try:
        found = parse_response(command, octets)
    except ScannerError:
        return
    assert found.points == 1
    assert all(one.isascii() for one in found.rules)
    assert all("\n" not in name + value for name, value in found.fields)


def learn(kind, user="", **options):
    """Let a plugin learn a message; return the user of the plugin."""

    async def scenario():
        tx = replace(make_transaction(), recipients=[make_recipient()])
        message = Message(10_000)
        message.write(b"Subject: x\r\n\r\nbuy now\r\n")
        message.complete()
        await Spamassassin(user=user, **options).on_learn(replace(tx, message=message), kind)

    asyncio.run(scenario())


@real
@pytest.mark.slow
@pytest.mark.parametrize("kind", ["spam", "ham"])
def test_a_server_without_a_bayes_filter_learns_nothing(server, kind):
    with pytest.raises(ScannerError, match="learned nothing"):
        learn(kind, server=f"unix:{server.unix}")
    assert "Tell: Did nothing" in server.log.read_text()


def test_the_request_to_learn_names_the_class_and_the_user(tmp_path):
    asked = []

    async def respond(reader, writer):
        asked.append(await reader.read())
        writer.write(b"SPAMD/1.1 0 EX_OK\r\nDidSet: local\r\nContent-length: 2\r\n\r\n\r\n")

    async def scenario():
        async with service(tmp_path / "spamd", respond):
            await asyncio.to_thread(learn, "ham", "{user}", server=f"unix:{tmp_path}/spamd")

    asyncio.run(scenario())
    head = "TELL SPAMC/1.5|Content-length: 23|User: user|Message-class: ham|Set: local||"
    assert asked == [head.replace("|", "\r\n").encode() + b"Subject: x\r\n\r\nbuy now\r\n"]


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (b"SPAMD/1.0 69 Service Unavailable: not enabled\r\n", "spamd has failed: Service"),
        (b"\xff", "expected a response"),
        (b"SPAMD/1.1 0 EX_OK", "expected a response"),
    ],
)
def test_a_refusal_to_learn_is_an_error(tmp_path, response, problem):
    async def respond(reader, writer):
        await reader.read()
        writer.write(response)

    async def scenario():
        async with service(tmp_path / "spamd", respond):
            await asyncio.to_thread(learn, "ham", server=f"unix:{tmp_path}/spamd")

    with pytest.raises(ScannerError, match=problem):
        asyncio.run(scenario())


def test_a_message_is_held_from_so_many_points_on(tmp_path):
    async def respond(reader, writer):
        await reader.read()
        writer.write(response(6.5, b"X-Spam-Flag: YES\r\n\r\n", spam=True))

    async def scenario():
        async with service(tmp_path / "spamd", respond):
            plugin = Spamassassin(server=f"unix:{tmp_path}/spamd", hold=6)
            return await sent([plugin], CONTENT)

    [message] = asyncio.run(scenario()).messages
    assert (message.quarantined, message.parse()["X-Spam-Flag"]) == ("spam", "YES")
