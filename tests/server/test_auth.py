"""AUTH over loopback sockets: in the clear, after STARTTLS, under implicit TLS, behind hosts."""

import msgspec
import pytest
from tests.auth.samples import ScramClient, b64, plain, user, write_users
from tests.server.loopback import HELO, config, run
from tests.server.test_proxy import LOOPBACK
from tests.server.test_tls import MODES, encrypted, lines, tls_config
from tests.wire.headers import V1

from gatepost.config.schema import AuthConfig
from gatepost.plugin.base import Plugin
from gatepost.session.assemble import SetupError
from gatepost.wire.sasl.verifier import decode_base64

WELCOME = "235 2.7.0 Authentication succeeded"
NEEDS_TLS = "538 5.7.11 Encryption required: STARTTLS first"
KEYWORD = "AUTH SCRAM-SHA-256 PLAIN LOGIN"
PLAIN = f"AUTH PLAIN {b64(plain())}\r\n".encode()
DENIED = "550 5.7.1 Relaying denied"


class Who(Plugin):
    def __init__(self):
        super().__init__()
        self.seen = []

    def on_mail(self, tx, sender):
        self.seen.append(tx.session.auth and tx.session.auth.user)


def with_auth(made, *, clear=False, **listen):
    write_users(made.base)
    listener = msgspec.structs.replace(made.listen[0], auth=True, **listen)
    return msgspec.structs.replace(
        made, listen=[listener], auth=AuthConfig(users="users.auth", clear=clear)
    )


async def say(client, data):
    client.send(data)
    return await client.reply()


async def scram(client, who):
    challenge = await say(client, f"AUTH SCRAM-SHA-256 {b64(who.first)}\r\n".encode())
    final = who.final(decode_base64(challenge[4:]))
    verdict = await say(client, f"{b64(final)}\r\n".encode())
    assert decode_base64(verdict[4:]) == who.verdict
    return await say(client, b"\r\n")


async def with_plain(client):
    return await say(client, PLAIN)


async def with_scram(client):
    return await scram(client, ScramClient())


@pytest.mark.parametrize("mode", MODES)
def test_under_tls(tmp_path, loop, mode):
    who = Who()

    async def scenario(house):
        for enter in (
            lambda client: say(client, PLAIN),
            lambda client: scram(client, ScramClient()),
        ):
            client = await encrypted(house, mode)
            client.send(HELO)
            assert KEYWORD in await lines(client)
            assert await enter(client) == WELCOME
            assert (await say(client, b"MAIL FROM:<> AUTH=<>\r\n"))[:3] == "250"
            await client.close()

    run(scenario, with_auth(tls_config(tmp_path, mode)), [who], loop=loop)
    assert who.seen == ["alice", "alice"]


def test_before_starttls_it_is_refused_and_not_offered(tmp_path, loop):
    async def scenario(house):
        client = await house.connect()
        await client.reply()
        client.send(HELO)
        assert not [one for one in await lines(client) if "AUTH" in one]
        assert await say(client, PLAIN) == NEEDS_TLS
        assert (await say(client, b"MAIL FROM:<> AUTH=<>\r\n"))[:3] == "555"
        await client.close()

    run(scenario, with_auth(tls_config(tmp_path, "starttls")), loop=loop)


def test_in_the_clear_where_that_is_wanted(tmp_path, loop):
    async def scenario(house):
        client = await house.connect()
        await client.reply()
        client.send(HELO)
        assert KEYWORD in await lines(client)
        assert (await say(client, b"AUTH PLAIN AGFsaWNlAGd1ZXNz\r\n"))[:3] == "535"
        assert await scram(client, ScramClient()) == WELCOME
        await client.close()

    run(scenario, with_auth(config(tmp_path), clear=True), loop=loop, clock=Instant())


class Instant:
    """A clock for which waiting takes no time."""

    def time(self):
        return 1_700_000_000.0

    async def sleep(self, seconds):
        pass


def test_starttls_makes_the_client_nobody(tmp_path):
    who = Who()

    async def scenario(house):
        client = await house.connect()
        await client.reply()
        await say(client, HELO)
        assert await say(client, PLAIN) == WELCOME
        await say(client, b"MAIL FROM:<>\r\n")
        await say(client, b"RSET\r\n")
        await encrypt(client)
        await say(client, HELO)
        await say(client, b"MAIL FROM:<>\r\n")
        await say(client, b"RSET\r\n")
        assert await say(client, PLAIN) == WELCOME
        await client.close()

    run(scenario, with_auth(tls_config(tmp_path, "starttls"), clear=True), [who])
    assert who.seen == ["alice", None]


async def encrypt(client):
    from tests.net.authority import client_context

    assert (await say(client, b"STARTTLS\r\n"))[:3] == "220"
    await client.writer.start_tls(client_context(), server_hostname="mx.example.com")


def test_xclient_makes_the_client_nobody(tmp_path):
    who = Who()

    async def scenario(house):
        client = await house.connect()
        await client.reply()
        await say(client, HELO)
        assert await say(client, PLAIN) == WELCOME
        assert (await say(client, b"XCLIENT ADDR=192.0.2.7 LOGIN=bob\r\n"))[:3] == "220"
        await say(client, HELO)
        await say(client, b"MAIL FROM:<>\r\n")
        await say(client, b"RSET\r\n")
        assert await say(client, PLAIN) == WELCOME
        await client.close()

    run(scenario, with_auth(config(tmp_path), clear=True, xclient_from=LOOPBACK), [who])
    assert who.seen == [None]


@pytest.mark.parametrize("mode", MODES)
def test_behind_a_proxy_it_is_the_client_who_tries(tmp_path, mode):
    """PROXY facts stay, and it is that address whose attempts are counted."""
    made = with_auth(tls_config(tmp_path, "starttls"), clear=True, proxy_from=LOOPBACK)
    limits = msgspec.structs.replace(made.limits, auth_failures_per_ip=1)

    async def scenario(house):
        wrong = b"AUTH PLAIN AGFsaWNlAGd1ZXNz\r\n"
        for header, expected in ((V1, "535"), (V1, "454"), (OTHER, "535")):
            client = await house.connect()
            client.send(header)
            await client.reply()
            await say(client, HELO)
            if mode == "starttls":
                await encrypt(client)
                await say(client, HELO)
            assert (await say(client, wrong))[:3] == expected
            await client.close()

    run(scenario, msgspec.structs.replace(made, limits=limits), clock=Instant())


OTHER = b"PROXY TCP4 203.0.113.99 192.0.2.25 51234 25\r\n"


def test_a_listener_without_auth_beside_one_with(tmp_path):
    made = with_auth(config(tmp_path), clear=True)
    without = msgspec.structs.replace(made.listen[0], auth=False)

    async def scenario(house):
        client = await house.connect()
        await client.reply()
        client.send(HELO)
        assert KEYWORD not in await lines(client)
        assert (await say(client, PLAIN))[:3] == "500"
        await client.close()

    run(scenario, msgspec.structs.replace(made, listen=[without, *made.listen]))


def test_a_client_that_leaves_while_its_password_is_checked(tmp_path):
    async def scenario(house):
        client = await house.connect()
        await client.reply()
        await say(client, HELO)
        client.send(PLAIN)
        await client.close()
        await house.until(lambda: not house.worker.connections)
        again = await house.connect()
        await again.reply()
        await say(again, HELO)
        assert await say(again, PLAIN) == WELCOME
        await again.close()

    run(scenario, with_auth(config(tmp_path), clear=True))


def test_commands_sent_while_a_password_is_checked_wait(tmp_path):
    """They are not behind AUTH in one piece; whatever they are, they come after its answer."""

    async def scenario(house):
        client = await house.connect()
        await client.reply()
        await say(client, HELO)
        client.send(PLAIN)
        await house.until(lambda: any(one._task for one in house.worker.connections))
        client.send(b"NOOP\r\n")
        assert await client.codes(2) == ["235", "250"]
        await client.close()

    run(scenario, with_auth(config(tmp_path), clear=True))


def test_a_users_file_that_cannot_be_read(tmp_path):
    made = with_auth(config(tmp_path), clear=True)
    (tmp_path / "users.auth").write_text(f"{user()}\nbob x\n")
    with pytest.raises(SetupError, match=r"users.auth:2: expected a name, an argon2id hash"):
        run(None, made)
