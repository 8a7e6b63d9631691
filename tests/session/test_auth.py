"""AUTH against plugins and the users file, in memory: who gets in, and what that is worth."""

import asyncio
import itertools
import re

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.auth.samples import ScramClient, b64, plain, user, write_users
from tests.session.dialogue import TRAPS, plugin

from gatepost.auth import authority as authority_module
from gatepost.config.schema import (
    AuthConfig,
    Config,
    LimitsConfig,
    ListenConfig,
    RecipientsConfig,
    RouteConfig,
)
from gatepost.model.decision import accept, defer, deny
from gatepost.model.session import AuthFacts, TlsFacts
from gatepost.session.assemble import SetupError
from gatepost.testing import MemoryServer, VirtualClock, play
from gatepost.wire.sasl.verifier import decode_base64

WRONG = "535 5.7.8 Authentication credentials invalid [*]"
WELCOME = "235 2.7.0 Authentication succeeded"
ENOUGH = "421 4.7.0 Too many failed attempts to authenticate"
LATER = "454 4.7.0 Too many failed attempts to authenticate, try again later [*]"
OPEN = "S: 220\nC: EHLO x\nS: 250\n"
NOT_OFFERED = "504 5.5.4 Authentication mechanism not offered"
MALFORMED = "501 5.5.2 Syntax error in the authentication exchange"
FOREIGN = "friend@elsewhere.example"
RELAY = RouteConfig(to="discard:", relay_for="authenticated")


def made(folder=None, *, users=(), limits=None, auth=None, **more):
    """A configuration with AUTH in the clear; with users if there is a folder for them."""
    if folder is not None:
        write_users(folder, *users)
    settings = {"clear": True, "users": "users.auth" if folder else ""} | (auth or {})
    config = Config(
        listen=[ListenConfig(auth=True)],
        auth=AuthConfig(**settings),
        limits=LimitsConfig(**(limits or {})),
        recipients=RecipientsConfig(domains=["example.com"]),
        route=[RouteConfig(to="discard:")],
        **({} if folder is None else {"base": folder}),
    )
    return msgspec.structs.replace(config, **more)


def attempt(password="secret", name="alice"):
    return f"C: AUTH PLAIN {b64(plain(name, password))}\n"


class Talk:
    """A client of a server in memory."""

    def __init__(self, server, **options):
        self.client = server.connect(**options)

    async def say(self, line):
        self.client.send(line.encode() + b"\r\n")
        return await self.client.reply()

    async def hello(self, word="EHLO"):
        await self.client.reply()
        return await self.say(f"{word} x")

    async def scram(self, client, *, wrong=False):
        challenge = await self.say(f"AUTH SCRAM-SHA-256 {b64(client.first)}")
        if not challenge.startswith("334"):
            return challenge
        final = client.final(decode_base64(challenge[4:]))
        verdict = await self.say(b64(final))
        if not verdict.startswith("334"):
            return verdict
        assert decode_base64(verdict[4:]) == client.verdict
        return await self.say("")


def talking(scenario, config, plugins=(), **options):
    """Give a server in memory, and its clock, to a coroutine function."""

    async def main():
        clock = VirtualClock()
        async with MemoryServer(plugins, config=config, clock=clock, **options) as server:
            return await scenario(server, clock)

    return asyncio.run(main())


# who gets in


@pytest.mark.parametrize(
    ("password", "name", "reply"),
    [
        ("secret", "alice", WELCOME),
        ("secret", "ALICE", WELCOME),
        ("Secret", "alice", WRONG),
        ("secret", "bob", WRONG),
        ("secret", "carol", WRONG),
    ],
)
def test_plain(tmp_path, password, name, reply):
    users = (user(), user("bob", "other"), user("carol", plain=False))
    play(f"{OPEN}{attempt(password, name)}S: {reply}", config=made(tmp_path, users=users))


def test_plain_in_two_steps_and_login(tmp_path):
    for lines in (
        ("AUTH PLAIN", "334 ", b64(plain()), WELCOME),
        (
            "AUTH LOGIN",
            "334 VXNlcm5hbWU6",
            b64("alice"),
            "334 UGFzc3dvcmQ6",
            b64("secret"),
            WELCOME,
        ),
        ("AUTH LOGIN " + b64("alice"), "334 UGFzc3dvcmQ6", b64("secret"), WELCOME),
        ("AUTH LOGIN", "334", b64("alice"), "334", b64("guess"), WRONG),
    ):
        said = "\n".join(
            f"{who}: {line}" for who, line in zip(itertools.cycle("CS"), lines, strict=False)
        )
        play(f"{OPEN}{said.replace('334 ' + chr(10), '334' + chr(10))}", config=made(tmp_path))


@pytest.mark.parametrize(
    ("client", "reply"),
    [
        (ScramClient(), "235"),
        (ScramClient("Alice", header="y,,"), "235"),
        (ScramClient(header="n,a=alice,"), "235"),
        (ScramClient(header="n,a=bob,"), "535"),
        (ScramClient(password="guess"), "535"),
        (ScramClient("bob"), "535"),
        (ScramClient("nobody"), "535"),
        (ScramClient(header="p=tls-unique,,"), "501"),
    ],
)
def test_scram(tmp_path, client, reply):
    async def scenario(server, clock):
        talk = Talk(server)
        assert "AUTH SCRAM-SHA-256 PLAIN LOGIN" in await talk.hello()
        assert (await talk.scram(client))[:3] == reply

    talking(scenario, made(tmp_path, users=(user(), user("bob", scram=False))))


def test_an_unknown_user_is_no_different(tmp_path):
    """The same replies, the same salt each time, as many waits, and as many checks."""

    async def scenario(server, clock):
        seen = {}
        for name in ("alice", "nobody"):
            for _ in range(2):
                talk = Talk(server)
                await talk.hello()
                client = ScramClient(name, "guess")
                challenge = await talk.say(f"AUTH SCRAM-SHA-256 {b64(client.first)}")
                fields = decode_base64(challenge[4:]).decode().split(",")
                verdict = await talk.say(b64(client.final(decode_base64(challenge[4:]))))
                wrong = await talk.say(f"AUTH PLAIN {b64(plain(name, 'guess'))}")
                shape = [len(fields[0]), len(fields[1]), fields[2], verdict[:40], wrong[:40]]
                seen.setdefault(name, []).append((fields[1], shape))
        for (salt, _), (again, _) in seen.values():
            assert salt == again
        assert seen["alice"][0][0] != seen["nobody"][0][0]
        assert [shape for _, shape in seen["alice"]] == [shape for _, shape in seen["nobody"]]

    talking(scenario, made(tmp_path))


def test_nobody_acts_as_another(tmp_path):
    config = made(tmp_path, users=(user(), user("bob")))
    for authzid, reply in (("alice", WELCOME), ("Alice", WELCOME), ("bob", WRONG)):
        play(
            f"{OPEN}C: AUTH PLAIN {b64(plain(authzid=authzid))}\nS: {reply}",
            config=config,
        )


@pytest.mark.parametrize(
    "response",
    [b"alice", b"\0alice\0", b"\0a\x07b\0secret", b"\0\0secret", b"\0a b\0x", b"\xff"],
)
def test_malformed(tmp_path, response):
    played = play(
        f"{OPEN}C: AUTH PLAIN {b64(response)}\nS: {MALFORMED}\n{attempt()}S: {WELCOME}",
        config=made(tmp_path),
    )
    assert played.slept == []


def test_cancelled(tmp_path):
    play(
        f"{OPEN}C: AUTH LOGIN\nS: 334\nC: *\nS: 501 5.7.0 Authentication cancelled\n"
        f"{attempt()}S: {WELCOME}",
        config=made(tmp_path),
    )


def test_once_only_and_not_in_a_transaction(tmp_path):
    already = "503 5.5.1 Bad sequence of commands: authenticated already"
    nested = "503 5.5.1 Bad sequence of commands: a transaction is already open"
    play(
        f"{OPEN}C: MAIL FROM:<>\nS: 250\nC: AUTH PLAIN\nS: {nested}\nC: RSET\nS: 250\n"
        f"{attempt()}S: {WELCOME}\nC: RSET\nS: 250\n{attempt()}S: {already}\n"
        f"C: EHLO x\nS: 250\n{attempt()}S: {already}",
        config=made(tmp_path),
    )


# what is offered


def offered(config, plugins=(), **options):
    async def scenario(server, clock):
        lines = (await Talk(server, **options).hello()).split("\n")
        return [line[4:] for line in lines if "AUTH" in line]

    return talking(scenario, config, plugins)


def opinion(decision):
    return plugin(on_auth=lambda session, attempt: decision)


@pytest.mark.parametrize(
    ("users", "plugins", "found"),
    [
        ([user()], [], ["AUTH SCRAM-SHA-256 PLAIN LOGIN"]),
        ([user(scram=False)], [], ["AUTH PLAIN LOGIN"]),
        ([user(plain=False)], [], ["AUTH SCRAM-SHA-256"]),
        ([user(plain=False)], [opinion(None)], ["AUTH SCRAM-SHA-256 PLAIN LOGIN"]),
        (["# nobody"], [], []),
        (None, [opinion(None)], ["AUTH PLAIN LOGIN"]),
    ],
)
def test_what_can_work_is_offered(tmp_path, users, plugins, found):
    config = made(tmp_path if users else None, users=users or ())
    assert offered(config, plugins) == found


def test_what_is_configured_is_offered_in_that_order(tmp_path):
    config = made(tmp_path, auth={"mechanisms": ["LOGIN", "SCRAM-SHA-256"]})
    assert offered(config) == ["AUTH LOGIN SCRAM-SHA-256"]
    for name in ("PLAIN", "CRAM-MD5", "EXTERNAL"):
        play(f"{OPEN}C: AUTH {name}\nS: {NOT_OFFERED}", config=config)


def test_in_the_clear_it_is_not_offered(tmp_path):
    config = made(tmp_path, auth={"clear": False})
    assert offered(config) == []
    play(
        f"{OPEN}C: AUTH PLAIN\nS: 538 5.7.11 Encryption required: STARTTLS first\n"
        "C: MAIL FROM:<> AUTH=<>\nS: 555",
        config=config,
    )


def test_a_listener_without_auth_does_not_know_it(tmp_path):
    config = made(tmp_path, listen=[ListenConfig()])
    assert offered(config) == []
    play(f"{OPEN}{attempt()}S: 500 5.5.1 Command not recognised", config=config)


def test_with_nobody_to_ask_the_server_does_not_start():
    with pytest.raises(SetupError, match=r"^listen\[0\].auth: there is nobody to ask, expected"):
        offered(made())


def test_a_user_that_is_added_can_authenticate(tmp_path):
    async def scenario(server, clock):
        talk = Talk(server)
        await talk.hello()
        assert (await talk.say(f"AUTH PLAIN {b64(plain('bob'))}")).startswith("535")
        write_users(tmp_path, user(), user("bob"))
        server.setup.authority._users.refresh()
        assert await talk.say(f"AUTH PLAIN {b64(plain('bob'))}") == WELCOME

    talking(scenario, made(tmp_path))


# failures


def test_failures_are_answered_late_and_then_no_more(tmp_path):
    played = play(
        f"{OPEN}{attempt('a')}S: {WRONG}\n{attempt('b')}S: {WRONG}\n{attempt('c')}S: {ENOUGH}",
        config=made(tmp_path),
    )
    assert played.slept == [1, 2, 4]


def test_a_success_does_not_wait(tmp_path):
    assert play(f"{OPEN}{attempt()}S: {WELCOME}", config=made(tmp_path)).slept == []


@pytest.mark.parametrize(
    ("limit", "peers"),
    [
        ({"auth_failures_per_ip": 2}, ["192.0.2.1"] * 4),
        ({"auth_failures_per_network": 2}, ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]),
        ({"auth_failures_per_network": 2}, ["2001:db8::1", "2001:db8::2", "2001:db8::3"]),
    ],
)
def test_an_address_over_its_limit_is_not_heard(tmp_path, limit, peers):
    async def scenario(server, clock):
        for at, peer in enumerate(peers):
            talk = Talk(server, peer=(peer, 50000))
            await talk.hello()
            reply = await talk.say(
                f"AUTH PLAIN {b64(plain(password='guess' if at < 2 else 'secret'))}"
            )
            assert reply[:9] == ("535 5.7.8" if at < 2 else "454 4.7.0"), at
            if at >= 2:
                assert (await talk.scram(ScramClient()))[:3] == "454"
        elsewhere = Talk(server, peer=("203.0.113.9", 50000))
        await elsewhere.hello()
        assert await elsewhere.say(f"AUTH PLAIN {b64(plain())}") == WELCOME
        await clock.sleep(601)
        assert await talk.say(f"AUTH PLAIN {b64(plain())}") == WELCOME

    talking(scenario, made(tmp_path, limits=limit))


def test_success_is_no_attempt(tmp_path):
    config = made(tmp_path, limits={"auth_failures_per_ip": 1})

    async def scenario(server, clock):
        for _ in range(3):
            talk = Talk(server)
            await talk.hello()
            assert await talk.say(f"AUTH PLAIN {b64(plain())}") == WELCOME

    talking(scenario, config)


def test_exchanges_that_are_left_count(tmp_path):
    """Otherwise whether a proof is right could be asked for ever."""
    config = made(tmp_path, limits={"auth_failures_per_ip": 2})
    cancelled = "C: AUTH SCRAM-SHA-256\nS: 334\nC: *\nS: 501\n"
    play(f"{OPEN}{cancelled * 2}{attempt()}S: {LATER}", config=config)


def test_more_than_can_be_checked(tmp_path, monkeypatch):
    async def scenario(server, clock):
        authority = server.setup.authority
        places = authority._passwords._capacity
        while places.acquire(blocking=False):
            pass
        talk = Talk(server)
        await talk.hello()
        reply = await talk.say(f"AUTH PLAIN {b64(plain())}")
        assert reply.startswith("454 4.7.0 Too many passwords are being checked, try again [")
        places.release()
        assert await talk.say(f"AUTH PLAIN {b64(plain())}") == WELCOME

    talking(scenario, made(tmp_path, limits={"auth_failures_per_ip": 1}))


# plugins


def test_a_plugin_is_asked_first(tmp_path):
    for decision, right, wrong in (
        (accept(), WELCOME, WELCOME),
        (deny(), WRONG, WRONG),
        (deny("not you", reason="x"), "535 5.7.8 not you [*]", "535 5.7.8 not you [*]"),
        (defer(), "454 4.7.0 Temporary authentication failure [*]", "454*"),
        (None, WELCOME, WRONG),
    ):
        for password, reply in (("secret", right), ("guess", wrong)):
            play(
                f"{OPEN}{attempt(password)}S: {reply}",
                plugins=[opinion(decision)],
                config=made(tmp_path),
            )


def test_a_plugin_alone():
    asked = []

    def on_auth(session, attempt):
        asked.append((attempt.mechanism, attempt.user, attempt.password, attempt.authzid))
        return accept() if attempt.password == "open" else None

    plugins = [plugin(on_auth=on_auth)]
    play(
        f"{OPEN}{attempt('shut')}S: {WRONG}\n{attempt('open')}S: {WELCOME}\n",
        plugins=plugins,
        config=made(),
    )
    assert asked == [("PLAIN", "alice", "shut", ""), ("PLAIN", "alice", "open", "")]


@pytest.mark.parametrize(
    ("decision", "password", "reply", "asked"),
    [
        (accept(), "secret", "235", 1),
        (accept(), "guess", "535", 0),
        (None, "secret", "235", 1),
        (deny(), "secret", "535", 1),
        (defer(), "secret", "454", 1),
    ],
)
def test_with_scram_a_plugin_can_only_refuse(tmp_path, decision, password, reply, asked):
    seen, observed = [], []

    def on_auth(session, attempt):
        seen.append((attempt.password, attempt.proven))
        return decision

    async def scenario(server, clock):
        talk = Talk(server)
        await talk.hello()
        assert (await talk.scram(ScramClient(password=password)))[:3] == reply

    observer = plugin(observe_auth=lambda session, attempt: observed.append(attempt.proven))
    talking(scenario, made(tmp_path), [plugin(on_auth=on_auth), observer])
    assert seen == [(None, True)] * asked
    assert observed == [bool(asked)]


def test_what_came_of_it_is_told(tmp_path):
    told = []
    teller = plugin(
        after_auth=lambda session, attempt, outcome: told.append(
            (attempt.user, outcome.reply.code, session.auth)
        )
    )
    play(f"{OPEN}{attempt('x')}S: 535\n{attempt()}S: 235", plugins=[teller], config=made(tmp_path))
    assert told == [("alice", 535, None), ("alice", 235, AuthFacts("alice", "PLAIN"))]


def test_a_plugin_that_fails_is_no_open_door(tmp_path):
    def fails(session, attempt):
        raise RuntimeError("no directory")

    play(
        f"{OPEN}{attempt()}S: 451 4.3.0*",
        plugins=[plugin(on_auth=fails)],
        config=made(tmp_path),
    )


# what it is worth


def envelope(recipient, replies):
    mail, rcpt = replies
    return f"C: MAIL FROM:<a@b.example>\nS: {mail}\nC: RCPT TO:<{recipient}>\nS: {rcpt}\n"


DENIED = "550 5.7.1 Relaying denied: not a domain of this server [*]"
LOCAL_ONLY = RouteConfig(for_=["example.com"], to="discard:")
ROUTES = {
    "none": [],
    "nobody": [RouteConfig(to="discard:")],
    "local": [LOCAL_ONLY],
    "behind everybody's": [RouteConfig(to="discard:"), RELAY],
    "of another domain": [
        RouteConfig(for_=["other.example"], to="discard:", relay_for="authenticated")
    ],
    "relay": [LOCAL_ONLY, RELAY],
    "of that domain": [
        RouteConfig(for_=["elsewhere.example"], to="discard:", relay_for="authenticated"),
        RouteConfig(to="discard:"),
    ],
    "of that address": [
        RouteConfig(for_=[FOREIGN], to="discard:", relay_for="authenticated"),
        RouteConfig(to="discard:"),
    ],
}
RELAYING = {"relay", "of that domain", "of that address"}


@pytest.mark.parametrize("known", [(), ("bob@example.com",)])
@pytest.mark.parametrize("authenticated", [False, True])
@pytest.mark.parametrize("routes", ROUTES)
def test_never_an_open_relay(tmp_path, routes, authenticated, known):
    """Whoever is not known, and whoever is where no route says so, sends to our domains only."""
    recipients = RecipientsConfig(domains=["example.com"], known=known)
    config = made(tmp_path, route=ROUTES[routes], recipients=recipients)
    enter = f"{attempt()}S: {WELCOME}\n" if authenticated else f"{attempt('guess')}S: {WRONG}\n"
    may = authenticated and routes in RELAYING
    ours = "250" if covers_ours(routes) else "451 4.3.5*"
    play(
        OPEN
        + enter
        + envelope(FOREIGN, ("250", "250" if may else DENIED))
        + "C: RCPT TO:<friend@sub.elsewhere.example>\n"
        + f"S: {'250' if authenticated and routes == 'relay' else DENIED}\n"
        + f"C: RCPT TO:<bob@example.com>\nS: {ours}\n"
        + ("C: RCPT TO:<carol@example.com>\nS: 550 5.1.1*\n" if known else ""),
        config=config,
    )


def covers_ours(routes):
    return any({"*", "example.com"} & set(route.for_) for route in ROUTES[routes])


def test_a_local_part_that_names_a_host_is_no_way_out(tmp_path):
    config = made(tmp_path, route=ROUTES["relay"])
    play(
        f"{OPEN}{attempt()}S: {WELCOME}\n{envelope('x%elsewhere.example@example.com', (250, 550))}",
        config=config,
    )


@pytest.mark.parametrize("authenticated", [False, True])
def test_a_trap_does_not_refuse_a_user_but_is_seen(tmp_path, authenticated):
    hits = []
    observer = plugin(observe_data=lambda tx: hits.extend(str(one.address) for one in tx.trap_hits))
    enter = f"{attempt()}S: {WELCOME}\n" if authenticated else ""
    with capture_logs() as logs:
        played = play(
            f"""{OPEN}{enter}{envelope("trap@example.com", ("250", "250"))}
            C: DATA
            S: {"354" if authenticated else "554 5.7.1 Message refused by local policy [*]"}
            """
            + ("C: Subject: x\nC: .\nS: 250" if authenticated else ""),
            [observer],
            traps=TRAPS,
            config=made(tmp_path),
        )
    assert hits == ["trap@example.com"]
    assert len(played.messages) == authenticated
    events = [one["event"] for one in logs]
    assert "trap hit" in events
    assert ("trap shadowed" in events) == authenticated


@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
@pytest.mark.parametrize("authenticated", [False, True])
def test_what_received_says(tmp_path, protocol, tls, utf8, authenticated):
    """RFC 3848 and RFC 6531 section 4.3."""

    def on_helo(session, name):
        session.tls = TlsFacts("TLSv1.3", "X") if tls else None

    enter = f"{attempt()}S: {WELCOME}\n" if authenticated else ""
    params = " SMTPUTF8" if utf8 else ""
    hello = "LHLO" if protocol == "lmtp" else "EHLO"
    played = play(
        f"S: 220\nC: {hello} x\nS: 250\n{enter}C: MAIL FROM:<>{params}\nS: 250\n"
        "C: RCPT TO:<bob@example.com>\nS: 250\nC: DATA\nS: 354\nC: x: y\nC: .\nS: 250",
        [plugin(on_helo=on_helo)],
        config=made(tmp_path),
        protocol=protocol,
    )
    name = re.search(rb" with (\w+) id ", played.messages[0].content)[1].decode()
    base = {"smtp": "ESMTP", "lmtp": "LMTP"}[protocol]
    if utf8:
        base = {"ESMTP": "UTF8SMTP", "LMTP": "UTF8LMTP"}[base]
    assert name == base + "S" * tls + "A" * authenticated


# what is told of it

PASSWORD = "Tr0ub4dor&3-correct"


@pytest.mark.parametrize("name", ["alice", "nobody"])
@pytest.mark.parametrize("right", [True, False])
def test_a_password_is_nowhere(tmp_path, name, right):
    """In no reply and no line of the log, at any level, however it was sent."""
    lines = [
        f"AUTH PLAIN {b64(plain(name, PASSWORD))}",
        f"AUTH LOGIN {b64(name)}",
        b64(PASSWORD),
        f"AUTH PLAIN {PASSWORD}",
        f"AUTH PLAIN {b64(PASSWORD)}",
        f"AUTH {PASSWORD}",
        f"AUTH CRAM-MD5 {b64(PASSWORD)}",
        "AUTH LOGIN",
        PASSWORD,
        "AUTH LOGIN",
        b64("\x07" + PASSWORD),
        PASSWORD,
        b64(PASSWORD),
        f"PASS {PASSWORD}",
        f"VRFY {PASSWORD}",
        f"NOOP {PASSWORD}",
    ]
    broken = plugin(on_auth=lambda session, attempt: attempt, on_error="skip")
    shown = []
    repeats = plugin(after_auth=lambda session, attempt, outcome: shown.append(f"{attempt}"))
    config = made(
        tmp_path,
        users=(user(password=PASSWORD if right else "other"),),
        limits={"auth_failures": 50, "auth_failures_per_ip": 100},
    )

    async def scenario(server, clock):
        talk = Talk(server)
        await talk.hello()
        return [await talk.say(line) for line in lines]

    with capture_logs() as logs:
        replies = talking(scenario, config, [broken, repeats])
    written = "\n".join([*map(repr, logs), *replies, *shown])
    assert {one["user"] for one in logs if one.get("hook") == "auth" or "user" in one} == {name}
    for secret in (PASSWORD, b64(PASSWORD), b64(plain(name, PASSWORD)), "Tr0ub4dor", "correct"):
        assert secret not in written


def test_the_log_names_the_user(tmp_path):
    with capture_logs() as logs:
        play(f"{OPEN}{attempt('x')}S: 535\n{attempt()}S: 235", config=made(tmp_path))
    failed, entered = logs
    assert (failed["event"], failed["hook"], failed["user"]) == ("refused", "auth", "alice")
    assert (failed["mechanism"], failed["reason"]) == ("PLAIN", "bad-credentials")
    assert failed["peer"] == "192.0.2.1:50000"
    assert (entered["event"], entered["user"]) == ("authenticated", "alice")


def test_the_limit_is_logged(tmp_path):
    config = made(tmp_path, limits={"auth_failures_per_ip": 1})
    with capture_logs() as logs:
        play(f"{OPEN}{attempt('x')}S: 535\n{attempt()}S: 454", config=config)
    assert (logs[-1]["hook"], logs[-1]["reason"]) == ("auth", "too-many-attempts")


def test_a_nonce_is_new_each_time(tmp_path):
    async def scenario(server, clock):
        nonces = set()
        for _ in range(3):
            talk = Talk(server)
            await talk.hello()
            challenge = await talk.say(f"AUTH SCRAM-SHA-256 {b64(ScramClient().first)}")
            nonces.add(decode_base64(challenge[4:]).split(b",")[0])
        assert len(nonces) == 3
        assert all(len(one) >= len("r=client") + authority_module.NONCE_SIZE for one in nonces)

    talking(scenario, made(tmp_path))
