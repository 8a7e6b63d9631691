"""AUTH over loopback sockets: in the clear, with STARTTLS and implicit TLS, behind proxies."""

import msgspec
import pytest
from tests.auth.samples import ScramClient, b64, plain, user, write_users
from tests.net.authority import client_context
from tests.server.loopback import HELO, config, run
from tests.server.proxies import LOOPBACK
from tests.server.tls import MODES, encrypted, lines, tls_config
from tests.wire.headers import V1

from gatepost.config.schema import AuthConfig
from gatepost.plugin.base import Plugin
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.session.assemble import SetupError
from gatepost.wire.sasl.verifier import decode_base64

WELCOME = "235 2.7.0 Authentication succeeded"
NEEDS_TLS = "538 5.7.11 Encryption required: STARTTLS first"
KEYWORD = "AUTH SCRAM-SHA-256 PLAIN LOGIN"
PLAIN = f"AUTH PLAIN {b64(plain())}\r\n".encode()
DENIED = "550 5.7.1 Relaying denied"


class UserRecorder(Plugin):
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


async def command(client, data):
    client.send(data)
    return await client.reply()


async def scram(client, exchange):
    challenge = await command(client, f"AUTH SCRAM-SHA-256 {b64(exchange.first)}\r\n".encode())
    final = exchange.final(decode_base64(challenge[4:]))
    verdict = await command(client, f"{b64(final)}\r\n".encode())
    assert decode_base64(verdict[4:]) == exchange.verdict
    return await command(client, b"\r\n")


async def with_plain(client):
    return await command(client, PLAIN)


async def with_scram(client):
    return await scram(client, ScramClient())


@pytest.mark.parametrize("mode", MODES)
def test_auth_succeeds_under_tls(tmp_path, loop, mode):
    recorder = UserRecorder()

    async def scenario(running):
        for enter in (
            lambda client: command(client, PLAIN),
            lambda client: scram(client, ScramClient()),
        ):
            client = await encrypted(running, mode)
            client.send(HELO)
            assert KEYWORD in await lines(client)
            assert await enter(client) == WELCOME
            assert (await command(client, b"MAIL FROM:<> AUTH=<>\r\n"))[:3] == "250"
            await client.close()

    run(scenario, with_auth(tls_config(tmp_path, mode)), [recorder], loop=loop)
    assert recorder.seen == ["alice", "alice"]


def test_auth_before_starttls_is_refused_and_not_offered(tmp_path, loop):
    async def scenario(running):
        client = await running.connect()
        await client.reply()
        client.send(HELO)
        assert not [one for one in await lines(client) if "AUTH" in one]
        assert await command(client, PLAIN) == NEEDS_TLS
        assert (await command(client, b"MAIL FROM:<> AUTH=<>\r\n"))[:3] == "555"
        await client.close()

    run(scenario, with_auth(tls_config(tmp_path, "starttls")), loop=loop)


def test_auth_in_the_clear_if_configured(tmp_path, loop):
    async def scenario(running):
        client = await running.connect()
        await client.reply()
        client.send(HELO)
        assert KEYWORD in await lines(client)
        assert (await command(client, b"AUTH PLAIN AGFsaWNlAGd1ZXNz\r\n"))[:3] == "535"
        assert await scram(client, ScramClient()) == WELCOME
        await client.close()

    run(scenario, with_auth(config(tmp_path), clear=True), loop=loop, clock=Instant())


class Instant(VirtualClock):
    """A clock for which waiting takes no time."""

    async def sleep(self, seconds):
        pass


def test_starttls_drops_the_authentication(tmp_path):
    recorder = UserRecorder()

    async def scenario(running):
        client = await running.connect()
        await client.reply()
        await command(client, HELO)
        assert await command(client, PLAIN) == WELCOME
        await command(client, b"MAIL FROM:<>\r\n")
        await command(client, b"RSET\r\n")
        await encrypt(client)
        await command(client, HELO)
        await command(client, b"MAIL FROM:<>\r\n")
        await command(client, b"RSET\r\n")
        assert await command(client, PLAIN) == WELCOME
        await client.close()

    run(scenario, with_auth(tls_config(tmp_path, "starttls"), clear=True), [recorder])
    assert recorder.seen == ["alice", None]


async def encrypt(client):
    assert (await command(client, b"STARTTLS\r\n"))[:3] == "220"
    await client.writer.start_tls(client_context(), server_hostname="mx.example.com")


def test_xclient_drops_the_authentication(tmp_path):
    recorder = UserRecorder()

    async def scenario(running):
        client = await running.connect()
        await client.reply()
        await command(client, HELO)
        assert await command(client, PLAIN) == WELCOME
        assert (await command(client, b"XCLIENT ADDR=192.0.2.7 LOGIN=bob\r\n"))[:3] == "220"
        await command(client, HELO)
        await command(client, b"MAIL FROM:<>\r\n")
        await command(client, b"RSET\r\n")
        assert await command(client, PLAIN) == WELCOME
        await client.close()

    run(scenario, with_auth(config(tmp_path), clear=True, xclient_from=LOOPBACK), [recorder])
    assert recorder.seen == [None]


@pytest.mark.parametrize("mode", MODES)
def test_attempts_behind_a_proxy_count_for_the_client(tmp_path, mode):
    """The PROXY facts stay after STARTTLS, and attempts count for the address in the header."""
    made = with_auth(tls_config(tmp_path, "starttls"), clear=True, proxy_from=LOOPBACK)
    limits = msgspec.structs.replace(made.limits, auth_failures_per_ip=1)

    async def scenario(running):
        wrong = b"AUTH PLAIN AGFsaWNlAGd1ZXNz\r\n"
        for header, expected in ((V1, "535"), (V1, "454"), (OTHER, "535")):
            client = await running.connect()
            client.send(header)
            await client.reply()
            await command(client, HELO)
            if mode == "starttls":
                await encrypt(client)
                await command(client, HELO)
            assert (await command(client, wrong))[:3] == expected
            await client.close()

    run(scenario, msgspec.structs.replace(made, limits=limits), clock=Instant())


OTHER = b"PROXY TCP4 203.0.113.99 192.0.2.25 51234 25\r\n"


def test_listener_without_auth_next_to_one_with_auth(tmp_path):
    made = with_auth(config(tmp_path), clear=True)
    without = msgspec.structs.replace(made.listen[0], auth=False)

    async def scenario(running):
        client = await running.connect()
        await client.reply()
        client.send(HELO)
        assert KEYWORD not in await lines(client)
        assert (await command(client, PLAIN))[:3] == "500"
        await client.close()

    run(scenario, msgspec.structs.replace(made, listen=[without, *made.listen]))


def test_disconnect_during_a_password_check_frees_its_place(tmp_path):
    async def scenario(running):
        client = await running.connect()
        await client.reply()
        await command(client, HELO)
        client.send(PLAIN)
        await client.close()
        await running.until(lambda: not running.connections.members)
        again = await running.connect()
        await again.reply()
        await command(again, HELO)
        assert await command(again, PLAIN) == WELCOME
        await again.close()

    run(scenario, with_auth(config(tmp_path), clear=True))


def test_commands_wait_for_the_end_of_a_password_check(tmp_path):
    """The commands are in another segment than AUTH; their replies come after its reply."""

    async def scenario(running):
        client = await running.connect()
        await client.reply()
        await command(client, HELO)
        client.send(PLAIN)
        await running.until(lambda: any(one.pump.waiting for one in running.connections.members))
        client.send(b"NOOP\r\n")
        assert await client.codes(2) == ["235", "250"]
        await client.close()

    run(scenario, with_auth(config(tmp_path), clear=True))


def test_invalid_users_file_prevents_the_start(tmp_path):
    made = with_auth(config(tmp_path), clear=True)
    (tmp_path / "users.auth").write_text(f"{user()}\nbob x\n")
    with pytest.raises(SetupError, match=r"users.auth:2: expected a name, an argon2id hash"):
        run(None, made)
