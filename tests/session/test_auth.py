"""AUTH with plugins and the users file, in memory: decisions, offers, failures and relaying."""

import asyncio
import itertools
import re

import pytest
from structlog.testing import capture_logs
from tests.auth.samples import ScramClient, b64, plain, user, write_users
from tests.session.authentication import WELCOME, AuthClient, auth_config
from tests.session.dialogue import TRAPS, plugin

from gatepost.auth import authority as authority_module
from gatepost.config.relay import RelayFor
from gatepost.config.schema import ListenConfig, RecipientsConfig, RouteConfig
from gatepost.model.decision import accept, defer, deny
from gatepost.model.facts import set_fact
from gatepost.model.session import AuthFacts, TlsFacts
from gatepost.session.assemble import SetupError
from gatepost.testing import MemoryServer, VirtualClock, play
from gatepost.wire.sasl.verifier import decode_base64

WRONG = "535 5.7.8 Authentication credentials invalid [*]"
TOO_MANY = "421 4.7.0 Too many authentication failures"
TRY_LATER = "454 4.7.0 Too many authentication failures, try again later [*]"
OPEN = "S: 220\nC: EHLO x\nS: 250\n"
NOT_OFFERED = "504 5.5.4 Authentication mechanism not offered"
MALFORMED = "501 5.5.2 Syntax error in the authentication exchange"
FOREIGN = "friend@elsewhere.example"
RELAY = RouteConfig(to="discard:", relay_for=RelayFor(authenticated=True))


def attempt(password="secret", name="alice"):
    return f"C: AUTH PLAIN {b64(plain(name, password))}\n"


def run_server(scenario, config, plugins=(), **options):
    """Pass a server in memory and its clock to a coroutine function."""

    async def main():
        clock = VirtualClock()
        async with MemoryServer(plugins, config=config, clock=clock, **options) as server:
            return await scenario(server, clock)

    return asyncio.run(main())


# credentials


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
def test_plain_password_is_checked(tmp_path, password, name, reply):
    users = (user(), user("bob", "other"), user("carol", plain=False))
    play(f"{OPEN}{attempt(password, name)}S: {reply}", config=auth_config(tmp_path, users=users))


def test_passwords_of_plain_in_two_steps_and_login_are_checked(tmp_path):
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
        transcript = "\n".join(
            f"{side}: {line}" for side, line in zip(itertools.cycle("CS"), lines, strict=False)
        )
        play(
            f"{OPEN}{transcript.replace('334 ' + chr(10), '334' + chr(10))}",
            config=auth_config(tmp_path),
        )


@pytest.mark.parametrize(
    ("scram", "reply"),
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
def test_scram_proof_is_checked(tmp_path, scram, reply):
    async def scenario(server, clock):
        client = AuthClient(server)
        assert "AUTH SCRAM-SHA-256 PLAIN LOGIN" in await client.hello()
        assert (await client.scram(scram))[:3] == reply

    run_server(scenario, auth_config(tmp_path, users=(user(), user("bob", scram=False))))


def test_unknown_user_gets_the_same_replies(tmp_path):
    """Unknown users get the same replies, the same salt each time, and the same waits."""

    async def scenario(server, clock):
        seen = {}
        for name in ("alice", "nobody"):
            for _ in range(2):
                client = AuthClient(server)
                await client.hello()
                scram = ScramClient(name, "guess")
                challenge = await client.command(f"AUTH SCRAM-SHA-256 {b64(scram.first)}")
                fields = decode_base64(challenge[4:]).decode().split(",")
                verdict = await client.command(b64(scram.final(decode_base64(challenge[4:]))))
                wrong = await client.command(f"AUTH PLAIN {b64(plain(name, 'guess'))}")
                shape = [len(fields[0]), len(fields[1]), fields[2], verdict[:40], wrong[:40]]
                seen.setdefault(name, []).append((fields[1], shape))
        for (salt, _), (again, _) in seen.values():
            assert salt == again
        assert seen["alice"][0][0] != seen["nobody"][0][0]
        assert [shape for _, shape in seen["alice"]] == [shape for _, shape in seen["nobody"]]

    run_server(scenario, auth_config(tmp_path))


def test_other_authorisation_identity_is_refused(tmp_path):
    config = auth_config(tmp_path, users=(user(), user("bob")))
    for authzid, reply in (("alice", WELCOME), ("Alice", WELCOME), ("bob", WRONG)):
        play(
            f"{OPEN}C: AUTH PLAIN {b64(plain(authzid=authzid))}\nS: {reply}",
            config=config,
        )


@pytest.mark.parametrize(
    "response",
    [b"alice", b"\0alice\0", b"\0a\x07b\0secret", b"\0\0secret", b"\0a b\0x", b"\xff"],
)
def test_malformed_response_is_a_syntax_error(tmp_path, response):
    played = play(
        f"{OPEN}C: AUTH PLAIN {b64(response)}\nS: {MALFORMED}\n{attempt()}S: {WELCOME}",
        config=auth_config(tmp_path),
    )
    assert played.slept == []


def test_exchange_can_be_cancelled(tmp_path):
    play(
        f"{OPEN}C: AUTH LOGIN\nS: 334\nC: *\nS: 501 5.7.0 Authentication cancelled\n"
        f"{attempt()}S: {WELCOME}",
        config=auth_config(tmp_path),
    )


def test_second_auth_and_auth_in_a_transaction_are_refused(tmp_path):
    already = "503 5.5.1 Bad sequence of commands: already authenticated"
    nested = "503 5.5.1 Bad sequence of commands: a transaction is already open"
    play(
        f"{OPEN}C: MAIL FROM:<>\nS: 250\nC: AUTH PLAIN\nS: {nested}\nC: RSET\nS: 250\n"
        f"{attempt()}S: {WELCOME}\nC: RSET\nS: 250\n{attempt()}S: {already}\n"
        f"C: EHLO x\nS: 250\n{attempt()}S: {already}",
        config=auth_config(tmp_path),
    )


# the offer


def offered(config, plugins=(), **options):
    async def scenario(server, clock):
        lines = (await AuthClient(server, **options).hello()).split("\n")
        return [line[4:] for line in lines if "AUTH" in line]

    return run_server(scenario, config, plugins)


def deciding(decision):
    return plugin(on_auth=lambda session, attempt: decision)


@pytest.mark.parametrize(
    ("users", "plugins", "found"),
    [
        ([user()], [], ["AUTH SCRAM-SHA-256 PLAIN LOGIN"]),
        ([user(scram=False)], [], ["AUTH PLAIN LOGIN"]),
        ([user(plain=False)], [], ["AUTH SCRAM-SHA-256"]),
        ([user(plain=False)], [deciding(None)], ["AUTH SCRAM-SHA-256 PLAIN LOGIN"]),
        (["# nobody"], [], []),
        (None, [deciding(None)], ["AUTH PLAIN LOGIN"]),
    ],
)
def test_mechanisms_with_usable_credentials_are_offered(tmp_path, users, plugins, found):
    config = auth_config(tmp_path if users else None, users=users or ())
    assert offered(config, plugins) == found


def test_configured_mechanisms_are_offered_in_order(tmp_path):
    config = auth_config(tmp_path, auth={"mechanisms": ["LOGIN", "SCRAM-SHA-256"]})
    assert offered(config) == ["AUTH LOGIN SCRAM-SHA-256"]
    for name in ("PLAIN", "CRAM-MD5", "EXTERNAL"):
        play(f"{OPEN}C: AUTH {name}\nS: {NOT_OFFERED}", config=config)


def test_auth_in_the_clear_is_not_offered(tmp_path):
    config = auth_config(tmp_path, auth={"clear": False})
    assert offered(config) == []
    play(
        f"{OPEN}C: AUTH PLAIN\nS: 538 5.7.11 Encryption required: STARTTLS first\n"
        "C: MAIL FROM:<> AUTH=<>\nS: 555",
        config=config,
    )


def test_auth_is_unknown_on_a_listener_without_it(tmp_path):
    config = auth_config(tmp_path, listen=[ListenConfig()])
    assert offered(config) == []
    play(f"{OPEN}{attempt()}S: 500 5.5.1 Command not recognised", config=config)


def test_auth_without_a_source_of_users_prevents_the_start():
    with pytest.raises(SetupError, match=r"^listen\[0\].auth: no source of users, expected"):
        offered(auth_config())


def test_added_user_can_authenticate(tmp_path):
    async def scenario(server, clock):
        client = AuthClient(server)
        await client.hello()
        assert (await client.command(f"AUTH PLAIN {b64(plain('bob'))}")).startswith("535")
        write_users(tmp_path, user(), user("bob"))
        server.setup.authority._users.refresh()
        assert await client.command(f"AUTH PLAIN {b64(plain('bob'))}") == WELCOME

    run_server(scenario, auth_config(tmp_path))


# failures


def test_failures_are_delayed_and_limited(tmp_path):
    played = play(
        f"{OPEN}{attempt('a')}S: {WRONG}\n{attempt('b')}S: {WRONG}\n{attempt('c')}S: {TOO_MANY}",
        config=auth_config(tmp_path),
    )
    assert played.slept == [1, 2, 4]


def test_success_is_not_delayed(tmp_path):
    assert play(f"{OPEN}{attempt()}S: {WELCOME}", config=auth_config(tmp_path)).slept == []


@pytest.mark.parametrize(
    ("limit", "peers"),
    [
        ({"auth_failures_per_ip": 2}, ["192.0.2.1"] * 4),
        ({"auth_failures_per_network": 2}, ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]),
        ({"auth_failures_per_network": 2}, ["2001:db8::1", "2001:db8::2", "2001:db8::3"]),
    ],
)
def test_address_over_its_limit_gets_454(tmp_path, limit, peers):
    async def scenario(server, clock):
        for at, peer in enumerate(peers):
            client = AuthClient(server, peer=(peer, 50000))
            await client.hello()
            reply = await client.command(
                f"AUTH PLAIN {b64(plain(password='guess' if at < 2 else 'secret'))}"
            )
            assert reply[:9] == ("535 5.7.8" if at < 2 else "454 4.7.0"), at
            if at >= 2:
                assert (await client.scram(ScramClient()))[:3] == "454"
        elsewhere = AuthClient(server, peer=("203.0.113.9", 50000))
        await elsewhere.hello()
        assert await elsewhere.command(f"AUTH PLAIN {b64(plain())}") == WELCOME
        await clock.sleep(601)
        assert await client.command(f"AUTH PLAIN {b64(plain())}") == WELCOME

    run_server(scenario, auth_config(tmp_path, limits=limit))


def test_success_does_not_count_as_an_attempt(tmp_path):
    config = auth_config(tmp_path, limits={"auth_failures_per_ip": 1})

    async def scenario(server, clock):
        for _ in range(3):
            client = AuthClient(server)
            await client.hello()
            assert await client.command(f"AUTH PLAIN {b64(plain())}") == WELCOME

    run_server(scenario, config)


def test_cancelled_exchanges_count(tmp_path):
    """Otherwise a client could test proofs without limit."""
    config = auth_config(tmp_path, limits={"auth_failures_per_ip": 2})
    cancelled = "C: AUTH SCRAM-SHA-256\nS: 334\nC: *\nS: 501\n"
    play(f"{OPEN}{cancelled * 2}{attempt()}S: {TRY_LATER}", config=config)


def test_too_many_password_checks_get_454(tmp_path, monkeypatch):
    async def scenario(server, clock):
        authority = server.setup.authority
        places = authority._passwords._capacity
        while places.acquire(blocking=False):
            pass
        client = AuthClient(server)
        await client.hello()
        reply = await client.command(f"AUTH PLAIN {b64(plain())}")
        assert reply.startswith("454 4.7.0 Server busy, try again later [")
        places.release()
        assert await client.command(f"AUTH PLAIN {b64(plain())}") == WELCOME

    run_server(scenario, auth_config(tmp_path, limits={"auth_failures_per_ip": 1}))


# plugins


def test_plugin_decides_before_the_users_file(tmp_path):
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
                plugins=[deciding(decision)],
                config=auth_config(tmp_path),
            )


def test_plugin_can_check_passwords_without_a_users_file():
    asked = []

    def on_auth(session, attempt):
        asked.append((attempt.mechanism, attempt.user, attempt.password, attempt.authzid))
        return accept() if attempt.password == "open" else None

    plugins = [plugin(on_auth=on_auth)]
    play(
        f"{OPEN}{attempt('shut')}S: {WRONG}\n{attempt('open')}S: {WELCOME}\n",
        plugins=plugins,
        config=auth_config(),
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
def test_plugin_can_only_refuse_with_scram(tmp_path, decision, password, reply, asked):
    seen, observed = [], []

    def on_auth(session, attempt):
        seen.append((attempt.password, attempt.proven))
        return decision

    async def scenario(server, clock):
        client = AuthClient(server)
        await client.hello()
        assert (await client.scram(ScramClient(password=password)))[:3] == reply

    observer = plugin(observe_auth=lambda session, attempt: observed.append(attempt.proven))
    run_server(scenario, auth_config(tmp_path), [plugin(on_auth=on_auth), observer])
    assert seen == [(None, True)] * asked
    assert observed == [bool(asked)]


def test_plugins_get_the_outcome(tmp_path):
    outcomes = []
    observer = plugin(
        after_auth=lambda session, attempt, outcome: outcomes.append(
            (attempt.user, outcome.reply.code, session.auth)
        )
    )
    play(
        f"{OPEN}{attempt('x')}S: 535\n{attempt()}S: 235",
        plugins=[observer],
        config=auth_config(tmp_path),
    )
    assert outcomes == [("alice", 535, None), ("alice", 235, AuthFacts("alice", "PLAIN"))]


def test_failed_plugin_defers_the_attempt(tmp_path):
    def fails(session, attempt):
        raise RuntimeError("no directory")

    play(
        f"{OPEN}{attempt()}S: 451 4.3.0*",
        plugins=[plugin(on_auth=fails)],
        config=auth_config(tmp_path),
    )


# relaying and traps


def envelope(recipient, replies):
    mail, rcpt = replies
    return f"C: MAIL FROM:<a@b.example>\nS: {mail}\nC: RCPT TO:<{recipient}>\nS: {rcpt}\n"


DENIED = "550 5.7.1 Relaying denied: not a domain of this server [*]"
LOCAL_ONLY = RouteConfig(for_=["example.com"], to="discard:")
ROUTES = {
    "none": [],
    "general": [RouteConfig(to="discard:")],
    "local": [LOCAL_ONLY],
    "after a general one": [RouteConfig(to="discard:"), RELAY],
    "of another domain": [
        RouteConfig(for_=["other.example"], to="discard:", relay_for=RelayFor(authenticated=True))
    ],
    "relay": [LOCAL_ONLY, RELAY],
    "of that domain": [
        RouteConfig(
            for_=["elsewhere.example"], to="discard:", relay_for=RelayFor(authenticated=True)
        ),
        RouteConfig(to="discard:"),
    ],
    "of that address": [
        RouteConfig(for_=[FOREIGN], to="discard:", relay_for=RelayFor(authenticated=True)),
        RouteConfig(to="discard:"),
    ],
}
RELAYING = {"relay", "of that domain", "of that address"}


@pytest.mark.parametrize("known", [(), ("bob@example.com",)])
@pytest.mark.parametrize("authenticated", [False, True])
@pytest.mark.parametrize("routes", ROUTES)
def test_no_configuration_is_an_open_relay(tmp_path, routes, authenticated, known):
    """Without authentication, or without a route for it, only local domains are accepted."""
    recipients = RecipientsConfig(domains=["example.com"], known=known)
    config = auth_config(tmp_path, route=ROUTES[routes], recipients=recipients)
    login = f"{attempt()}S: {WELCOME}\n" if authenticated else f"{attempt('guess')}S: {WRONG}\n"
    allowed = authenticated and routes in RELAYING
    ours = "250" if covers_ours(routes) else "451 4.3.5*"
    play(
        OPEN
        + login
        + envelope(FOREIGN, ("250", "250" if allowed else DENIED))
        + "C: RCPT TO:<friend@sub.elsewhere.example>\n"
        + f"S: {'250' if authenticated and routes == 'relay' else DENIED}\n"
        + f"C: RCPT TO:<bob@example.com>\nS: {ours}\n"
        + ("C: RCPT TO:<carol@example.com>\nS: 550 5.1.1*\n" if known else ""),
        config=config,
    )


def covers_ours(routes):
    return any({"*", "example.com"} & set(route.for_) for route in ROUTES[routes])


def test_local_part_with_a_host_is_refused_for_a_user(tmp_path):
    config = auth_config(tmp_path, route=ROUTES["relay"])
    play(
        f"{OPEN}{attempt()}S: {WELCOME}\n{envelope('x%elsewhere.example@example.com', (250, 550))}",
        config=config,
    )


@pytest.mark.parametrize("words", ["class=recycled", "class=learned", "class=pristine"])
def test_authenticated_senders_are_exempt_from_every_class_of_traps(tmp_path, words):
    login = f"{attempt()}S: {WELCOME}\n"
    played = play(
        f"""{OPEN}{login}{envelope("trap@example.com", ("250", "250"))}
        C: DATA
        S: 354
        C: Subject: x
        C: .
        S: 250
        """,
        traps=[f"trap@example.com {words}"],
        config=auth_config(tmp_path),
    )
    assert [one.recipients for one in played.messages] == [["trap@example.com"]]


@pytest.mark.parametrize("authenticated", [False, True])
def test_trap_of_an_authenticated_sender_is_logged_but_not_refused(tmp_path, authenticated):
    hits = []
    observer = plugin(observe_data=lambda tx: hits.extend(str(one.address) for one in tx.trap_hits))
    login = f"{attempt()}S: {WELCOME}\n" if authenticated else ""
    with capture_logs() as logs:
        played = play(
            f"""{OPEN}{login}{envelope("trap@example.com", ("250", "250"))}
            C: DATA
            S: {"354" if authenticated else "554 5.7.1 Message refused by local policy [*]"}
            """
            + ("C: Subject: x\nC: .\nS: 250" if authenticated else ""),
            [observer],
            traps=TRAPS,
            config=auth_config(tmp_path),
        )
    assert hits == ["trap@example.com"]
    assert len(played.messages) == authenticated
    line = logs[-1]
    assert line["event"] == ("accepted" if authenticated else "refused")
    assert line["traps"] == ["trap@example.com (traps:1)"]
    assert line.get("user", "") == ("alice" if authenticated else "")
    assert "shadowed" not in line


@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
@pytest.mark.parametrize("authenticated", [False, True])
def test_received_field_names_the_protocol(tmp_path, protocol, tls, utf8, authenticated):
    """RFC 3848 and RFC 6531 section 4.3."""

    def on_helo(session, name):
        set_fact(session, "tls", TlsFacts("TLSv1.3", "X") if tls else None)

    login = f"{attempt()}S: {WELCOME}\n" if authenticated else ""
    params = " SMTPUTF8" if utf8 else ""
    hello = "LHLO" if protocol == "lmtp" else "EHLO"
    played = play(
        f"S: 220\nC: {hello} x\nS: 250\n{login}C: MAIL FROM:<>{params}\nS: 250\n"
        "C: RCPT TO:<bob@example.com>\nS: 250\nC: DATA\nS: 354\nC: x: y\nC: .\nS: 250",
        [plugin(on_helo=on_helo)],
        config=auth_config(tmp_path),
        protocol=protocol,
    )
    name = re.search(rb" with (\w+) id ", played.messages[0].content)[1].decode()
    base = {"smtp": "ESMTP", "lmtp": "LMTP"}[protocol]
    if utf8:
        base = {"ESMTP": "UTF8SMTP", "LMTP": "UTF8LMTP"}[base]
    assert name == base + "S" * tls + "A" * authenticated


# the log

PASSWORD = "Tr0ub4dor&3-correct"


@pytest.mark.parametrize("name", ["alice", "nobody"])
@pytest.mark.parametrize("right", [True, False])
def test_password_is_not_repeated_or_logged(tmp_path, name, right):
    """No reply and no log line at any level contains it, in any form of the exchange."""
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
    config = auth_config(
        tmp_path,
        users=(user(password=PASSWORD if right else "other"),),
        limits={"auth_failures": 50, "auth_failures_per_ip": 100},
    )

    async def scenario(server, clock):
        client = AuthClient(server)
        await client.hello()
        return [await client.command(line) for line in lines]

    with capture_logs() as logs:
        replies = run_server(scenario, config, [broken, repeats])
    written = "\n".join([*map(repr, logs), *replies, *shown])
    assert {one["user"] for one in logs if one.get("hook") == "auth" or "user" in one} == {name}
    for secret in (PASSWORD, b64(PASSWORD), b64(plain(name, PASSWORD)), "Tr0ub4dor", "correct"):
        assert secret not in written


def test_log_names_the_user(tmp_path):
    with capture_logs() as logs:
        play(f"{OPEN}{attempt('x')}S: 535\n{attempt()}S: 235", config=auth_config(tmp_path))
    failed, entered = logs
    assert (failed["event"], failed["hook"], failed["user"]) == ("refused", "auth", "alice")
    assert (failed["mechanism"], failed["reason"]) == ("PLAIN", "bad-credentials")
    assert failed["peer"] == "192.0.2.1:50000"
    assert (entered["event"], entered["user"]) == ("authenticated", "alice")


def test_limit_of_attempts_is_logged(tmp_path):
    config = auth_config(tmp_path, limits={"auth_failures_per_ip": 1})
    with capture_logs() as logs:
        play(f"{OPEN}{attempt('x')}S: 535\n{attempt()}S: 454", config=config)
    assert (logs[-1]["hook"], logs[-1]["reason"]) == ("auth", "too-many-attempts")


def test_nonce_is_different_each_time(tmp_path):
    async def scenario(server, clock):
        nonces = set()
        for _ in range(3):
            client = AuthClient(server)
            await client.hello()
            challenge = await client.command(f"AUTH SCRAM-SHA-256 {b64(ScramClient().first)}")
            nonces.add(decode_base64(challenge[4:]).split(b",")[0])
        assert len(nonces) == 3
        assert all(len(one) >= len("r=client") + authority_module.NONCE_SIZE for one in nonces)

    run_server(scenario, auth_config(tmp_path))
