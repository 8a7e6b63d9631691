"""STARTTLS and implicit TLS over loopback sockets, on both event loops."""

import asyncio
import contextlib
import socket
import ssl

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.net.authority import client_context, issued, write, write_authority
from tests.server.loopback import ENVELOPE, HELO, MESSAGE, Client, config, run

from gatepost.config.schema import CertificateConfig, LimitsConfig, TlsConfig
from gatepost.lists.watch import FileWatcher
from gatepost.plugin.base import Plugin
from gatepost.session.assemble import SetupError

MODES = ("starttls", "implicit")
NAME = "mx.example.com"
# A ClientHello of TLS 1.0 with one suite and no extensions.
TLS_1_0 = bytes.fromhex("160301002d010000290301") + b"\0" * 32 + bytes.fromhex("000002002f0100")
UNDER_TLS = "503 5.5.1 Bad sequence of commands: TLS is active already"


def tls_config(folder, mode, *, client_ca="", limits=None, to="discard:", names=("*",)):
    cert, key = write(folder, NAME)
    made = config(folder, limits=limits, to=to)
    listen = [msgspec.structs.replace(made.listen[0], tls=mode)]
    pairs = [CertificateConfig(names=names, cert=cert.name, key=key.name)]
    return msgspec.structs.replace(
        made, listen=listen, tls=TlsConfig(certificates=pairs, client_ca=client_ca)
    )


async def encrypted(house, mode, context=None, name=NAME):
    """Return a client under TLS, greeted."""
    context = context or client_context()
    host, _, port = house.server.addresses[0][1].rpartition(":")
    if mode == "implicit":
        client = Client(
            *await asyncio.open_connection(host, int(port), ssl=context, server_hostname=name)
        )
        assert (await client.reply())[:3] == "220"
        return client
    client = await house.connect()
    await client.reply()
    client.send(HELO)
    await client.reply()
    client.send(b"STARTTLS\r\n")
    assert await client.reply() == "220 2.0.0 Ready to start TLS"
    await client.writer.start_tls(context, server_hostname=name)
    return client


async def lines(client):
    """Return a reply, all its lines."""
    found = [await client.reader.readline()]
    while found[-1][3:4] == b"-":
        found.append(await client.reader.readline())
    return [line.decode().rstrip()[4:] for line in found]


class Facts(Plugin):
    def __init__(self):
        super().__init__()
        self.connected, self.said, self.content = [], [], b""

    def on_connect(self, session):
        self.connected.append(session.tls)

    def on_helo(self, session, name):
        self.said.append((name, session.tls))

    def on_deliver(self, tx):
        self.content = bytes(tx.message)


@pytest.mark.parametrize("mode", MODES)
def test_a_message_and_the_facts(tmp_path, loop, mode):
    facts = Facts()

    async def scenario(house):
        client = await encrypted(house, mode)
        client.send(ENVELOPE + b"DATA\r\n")
        assert await client.codes(4) == ["250", "250", "250", "354"]
        client.send(MESSAGE + b"QUIT\r\n")
        assert await client.codes(2) == ["250", "221"]
        assert await client.rest() == ""
        await client.close()

    run(scenario, tls_config(tmp_path, mode), [facts], loop=loop)
    (name, tls) = facts.said[-1]
    assert (name, tls.version, tls.sni) == ("x", "TLSv1.3", NAME)
    assert (tls.peer_subject, tls.peer_fingerprint) == ("", "")
    assert facts.connected == [tls if mode == "implicit" else None]
    assert (facts.said[0][1] is None) == (mode == "starttls")
    trace = facts.content.decode().splitlines()
    assert trace[1] == f"\t({tls.version} {tls.cipher})"
    assert " with ESMTPS id " in trace[2]


def test_starttls_is_offered_in_the_clear_only(tmp_path, loop):
    async def scenario(house):
        client = await house.connect()
        await client.reply()
        client.send(HELO)
        assert (await lines(client))[-1] == "STARTTLS"
        client.send(b"STARTTLS now\r\nSTARTTLS\r\n")
        assert await client.codes(2) == ["501", "220"]
        await client.writer.start_tls(client_context(), server_hostname=NAME)
        client.send(b"MAIL FROM:<>\r\n" + HELO)
        assert (await client.reply())[:3] == "503"
        assert "STARTTLS" not in await lines(client)
        client.send(b"STARTTLS\r\n")
        assert await client.reply() == UNDER_TLS
        await client.close()

    run(scenario, tls_config(tmp_path, "starttls"), loop=loop)


def test_implicit_tls_does_not_offer_it(tmp_path, loop):
    async def scenario(house):
        client = await encrypted(house, "implicit")
        client.send(HELO)
        assert "STARTTLS" not in await lines(client)
        client.send(b"STARTTLS\r\n")
        assert await client.reply() == UNDER_TLS
        await client.close()

    run(scenario, tls_config(tmp_path, "implicit"), loop=loop)


def test_a_listener_without_tls_does_not_know_it(tmp_path):
    async def scenario(house):
        client = await house.connect()
        client.send(HELO + b"STARTTLS\r\n")
        assert await client.codes(3) == ["220", "250", "500"]
        await client.close()

    run(scenario, config(tmp_path))


def test_plugins_change_what_is_offered(tmp_path):
    class Modest(Plugin):
        def on_ehlo(self, session, keywords):
            keywords[:] = [word for word in keywords if word == "STARTTLS"]

    async def scenario(house):
        client = await house.connect()
        await client.reply()
        client.send(HELO)
        assert await lines(client) == ["localhost", "STARTTLS"]
        await client.writer.drain()
        client.send(b"STARTTLS\r\n")
        assert (await client.reply())[:3] == "220"
        await client.writer.start_tls(client_context(), server_hostname=NAME)
        client.send(HELO)
        assert await lines(client) == ["localhost"]
        await client.close()

    run(scenario, tls_config(tmp_path, "starttls"), [Modest()])


@pytest.mark.parametrize("behind", [b"NOOP\r\n", b"EHLO injected\r\n", b"\x16\x03\x01\x00\x10"])
def test_what_is_injected_behind_starttls_closes_the_session(tmp_path, loop, behind):
    async def scenario(house):
        client = await house.connect()
        client.send(HELO)
        await client.replies(2)
        client.send(b"STARTTLS\r\n" + behind)
        rest = await client.rest()
        assert rest == "554 5.5.1 Nothing may follow STARTTLS before it is answered\r\n"
        await client.close()

    run(scenario, tls_config(tmp_path, "starttls"), loop=loop)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "garbage", [b"EHLO injected\r\nNOOP\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 400]
)
def test_garbage_instead_of_a_handshake_is_answered_with_silence(tmp_path, loop, mode, garbage):
    async def scenario(house):
        client = await house.connect()
        if mode == "starttls":
            client.send(HELO + b"STARTTLS\r\n")
            assert await client.codes(3) == ["220", "250", "220"]
        client.send(garbage)
        assert await client.reader.read() == b""
        await client.close()
        await house.until(lambda: not house.worker.connections)

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_a_client_that_speaks_too_old_a_tls_is_told_by_alert(tmp_path, loop, mode):
    async def scenario(house):
        client = await house.connect()
        if mode == "starttls":
            client.send(HELO + b"STARTTLS\r\n")
            await client.replies(3)
        client.send(TLS_1_0)
        answer = await client.reader.read()
        assert answer[:1] == b"\x15"
        await client.close()

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_a_handshake_has_a_deadline_of_its_own(tmp_path, loop, mode):
    async def scenario(house):
        client = await house.connect()
        if mode == "starttls":
            client.send(HELO + b"STARTTLS\r\n")
            await client.replies(3)
        client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")  # the beginning of a ClientHello
        await house.until(lambda: house.worker.connections)
        await house.until(lambda: all(one._handshaking for one in house.worker.connections))
        house.worker.sweep_later(LimitsConfig().handshake_timeout - 1)
        assert len(house.worker.connections) == 1
        house.worker.sweep_later(LimitsConfig().handshake_timeout + 1)
        await house.until(lambda: not house.worker.connections)
        with contextlib.suppress(ConnectionResetError):
            assert await client.reader.read() == b""
        await client.close()

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_a_stop_in_the_middle_of_a_handshake(tmp_path, loop, mode):
    async def scenario(house):
        client = await house.connect()
        if mode == "starttls":
            client.send(HELO + b"STARTTLS\r\n")
            await client.replies(3)
        await house.until(lambda: house.worker.connections)
        await house.until(lambda: all(one._handshaking for one in house.worker.connections))
        await house.server.stop()
        with contextlib.suppress(ConnectionResetError):
            assert await client.reader.read() == b""
        await client.close()

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_an_idle_client_is_told_under_tls(tmp_path, loop, mode):
    async def scenario(house):
        client = await encrypted(house, mode)
        client.send(b"NOOP\r\n")
        assert await client.codes(1) == ["250"]
        house.worker.sweep_later(LimitsConfig().command_timeout + 1)
        assert await client.reply() == "421 4.4.2 Timed out waiting for the client"
        assert await client.rest() == ""
        await client.close()

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_too_many_connections(tmp_path, loop, mode):
    async def scenario(house):
        first = await encrypted(house, mode)
        second = await house.connect()
        told = "" if mode == "implicit" else "421 4.7.0 Too many connections, try again later\r\n"
        assert await second.rest() == told
        await first.close()
        await second.close()

    run(scenario, tls_config(tmp_path, mode, limits={"connections": 1}), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_close_notify_in_the_middle_of_a_message(tmp_path, mode):
    async def scenario(house):
        sock, client = await asyncio.to_thread(blocking, house, mode)
        with sock:
            await asyncio.to_thread(say, client, ENVELOPE + b"DATA\r\n", 4)
            await asyncio.to_thread(client.sendall, b"Subject: cut\r\n")
            plain = await asyncio.to_thread(client.unwrap)
            await asyncio.to_thread(plain.sendall, b"x\r\n.\r\nNOOP\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.to_thread(plain.recv, 1000) == b""
            plain.close()
        await house.until(lambda: not house.worker.connections)
        assert list((tmp_path / "mail").glob("*")) == []

    run(scenario, tls_config(tmp_path, mode, to="maildir:mail/{local}"))


def blocking(house, mode):
    """Return a socket and its TLS, greeted, for a client that ends TLS and keeps the socket."""
    sock = house.connect_plainly()
    if mode == "starttls":
        say(sock, b"", 1)
        say(sock, HELO, 1)
        say(sock, b"STARTTLS\r\n", 1)
    client = client_context().wrap_socket(sock, server_hostname=NAME)
    if mode == "implicit":
        say(client, b"", 1)
    return sock, client


def say(sock, data, replies):
    """Send, and read so many replies."""
    sock.sendall(data)
    heard = b""
    while sum(line[3:4] == b" " for line in heard.splitlines()) < replies:
        heard += sock.recv(4096)


@pytest.mark.parametrize("mode", MODES)
def test_a_refusal_is_read_before_the_connection_closes(tmp_path, loop, mode):
    async def scenario(house):
        client = await encrypted(house, mode)
        client.send(HELO + b"GET / HTTP/1.1\r\n" + b"x" * 100_000)
        assert await client.codes(2) == ["250", "554"]
        assert await client.rest() == ""
        await client.close()

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_a_client_that_vanishes(tmp_path, loop, mode):
    async def scenario(house):
        client = await encrypted(house, mode)
        client.writer.transport.abort()
        await house.until(lambda: not house.worker.connections)

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_a_long_message_and_a_flood_of_commands(tmp_path, loop, mode):
    async def scenario(house):
        client = await encrypted(house, mode)
        client.send(ENVELOPE + b"DATA\r\n")
        await client.replies(4)
        client.send(b"x" * 998 + b"\r\n")
        client.send((b"y" * 998 + b"\r\n") * 2000 + b".\r\n")
        assert await client.codes(1) == ["250"]
        client.send(b"MAIL FROM:<>\r\nRCPT TO:<one@example.com>\r\n" + b"BDAT 1\r\nx" * 5000)
        assert set(await client.codes(5002)) == {"250"}
        await client.close()

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_a_client_with_a_certificate(tmp_path, loop, mode):
    facts = Facts()
    write_authority(tmp_path)

    async def scenario(house):
        with_one = client_context(issued("client.example"))
        for context in (with_one, client_context()):
            client = await encrypted(house, mode, context)
            client.send(HELO)
            await client.reply()
            await client.close()

    run(scenario, tls_config(tmp_path, mode, client_ca="ca.pem"), [facts], loop=loop)
    shown = [tls for _, tls in facts.said if tls]
    assert shown[0].peer_subject.startswith("CN=client.example,")
    assert len(shown[0].peer_fingerprint) == 64
    assert (shown[1].peer_subject, shown[1].peer_fingerprint) == ("", "")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_ticket_of_one_listener_is_nothing_to_the_other(tmp_path, version):
    made = tls_config(tmp_path, "implicit")
    both = [made.listen[0], msgspec.structs.replace(made.listen[0], tls="starttls")]
    context = client_context(maximum_version=version)

    def visit(house, number, mode, session=None):
        host, _, port = house.server.addresses[number][1].rpartition(":")
        with socket.create_connection((host, int(port))) as sock:
            if mode == "starttls":
                say(sock, b"", 1)
                say(sock, HELO, 1)
                say(sock, b"STARTTLS\r\n", 1)
            with context.wrap_socket(sock, server_hostname=NAME, session=session) as client:
                if mode == "implicit":
                    say(client, b"", 1)
                say(client, HELO, 1)
                return client.session, client.session_reused

    async def scenario(house):
        ticket, _ = await asyncio.to_thread(visit, house, 0, "implicit")
        _, reused = await asyncio.to_thread(visit, house, 0, "implicit", ticket)
        assert reused
        _, reused = await asyncio.to_thread(visit, house, 1, "starttls", ticket)
        assert not reused

    run(scenario, msgspec.structs.replace(made, listen=both))


def test_a_bad_certificate_is_an_error_at_the_start(tmp_path):
    made = tls_config(tmp_path, "starttls")
    _, other = write(tmp_path, "other.example", stem="other")
    (tmp_path / "cert.key").write_bytes(other.read_bytes())

    async def scenario(house):
        raise AssertionError("started")

    with pytest.raises(SetupError) as caught:
        run(scenario, made)
    assert str(caught.value) == (
        f"{tmp_path}/cert.pem: cannot be used: the certificate and the key do not belong together"
        f" (key {tmp_path}/cert.key)"
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_renewed_certificate_is_shown_and_no_session_is_cut(tmp_path, loop, mode, monkeypatch):
    watchers = []

    class Watcher(FileWatcher):
        def __init__(self, files, on_change):
            super().__init__(files, on_change, sleep=lambda _seconds: asyncio.Event().wait())
            watchers.append(self)

    monkeypatch.setattr("gatepost.server.server.FileWatcher", Watcher)

    def shown(client):
        return client.writer.get_extra_info("peercert")["subjectAltName"]

    async def scenario(house):
        poll = watchers[-1].poll
        before = await encrypted(house, mode)
        assert shown(before) == (("DNS", NAME),)
        write(tmp_path, NAME, "mail.example.com")
        with capture_logs() as logs:
            await poll()
        after = await encrypted(house, mode, name="mail.example.com")
        assert shown(after) == (("DNS", NAME), ("DNS", "mail.example.com"))
        (tmp_path / "cert.key").write_text("rubbish")
        with capture_logs() as more:
            await poll()
            await poll()
            await poll()
        last = await encrypted(house, mode, name="mail.example.com")
        for client in (before, after, last):
            client.send(ENVELOPE + b"DATA\r\n")
            assert (await client.codes(4))[-1] == "354"
            client.send(MESSAGE)
            assert await client.codes(1) == ["250"]
            await client.close()
        path = str(tmp_path / "cert.pem")
        assert logs == [{"event": "certificate read", "log_level": "info", "path": path}]
        assert [(one["event"], one["log_level"], one["path"]) for one in more] == [
            ("certificate not read", "error", path)
        ]
        assert "expected a certificate and a key in PEM form" in more[0]["problem"]

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_lmtp(tmp_path, loop, mode):
    facts = Facts()
    made = tls_config(tmp_path, mode)
    listen = [msgspec.structs.replace(made.listen[0], protocol="lmtp")]

    async def scenario(house):
        host, _, port = house.server.addresses[0][1].rpartition(":")
        plain = {"ssl": client_context(), "server_hostname": NAME} if mode == "implicit" else {}
        client = Client(*await asyncio.open_connection(host, int(port), **plain))
        assert await client.codes(1) == ["220"]
        if mode == "starttls":
            client.send(b"STARTTLS\r\n")
            assert await client.reply() == "503 5.5.1 Bad sequence of commands: LHLO first"
            client.send(b"LHLO x\r\nSTARTTLS\r\n")
            assert await client.codes(2) == ["250", "220"]
            await client.writer.start_tls(client_context(), server_hostname=NAME)
        client.send(ENVELOPE.replace(b"EHLO", b"LHLO") + b"DATA\r\n")
        assert await client.codes(4) == ["250", "250", "250", "354"]
        client.send(MESSAGE)
        assert await client.codes(1) == ["250"]
        await client.close()

    run(scenario, msgspec.structs.replace(made, listen=listen), [facts], loop=loop)
    assert b" with LMTPS id " in facts.content
