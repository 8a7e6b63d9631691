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
from tests.server.tls import MODES, NAME, blocking, encrypted, exchange, lines, tls_config

from gatepost.config.schema import LimitsConfig
from gatepost.lists.watch import FileWatcher
from gatepost.plugin.base import Plugin
from gatepost.session.assemble import SetupError

# A ClientHello of TLS 1.0 with one suite and no extensions.
TLS_1_0 = bytes.fromhex("160301002d010000290301") + b"\0" * 32 + bytes.fromhex("000002002f0100")
UNDER_TLS = "503 5.5.1 Bad sequence of commands: TLS already active"


class TlsRecorder(Plugin):
    def __init__(self):
        super().__init__()
        self.connected, self.helos, self.content = [], [], b""

    def on_connect(self, session):
        self.connected.append(session.tls)

    def on_helo(self, session, name):
        self.helos.append((name, session.tls))

    def on_deliver(self, tx):
        self.content = bytes(tx.message)


@pytest.mark.parametrize("mode", MODES)
def test_message_is_accepted_under_tls_with_its_facts(tmp_path, loop, mode):
    facts = TlsRecorder()

    async def scenario(running):
        client = await encrypted(running, mode)
        client.send(ENVELOPE + b"DATA\r\n")
        assert await client.codes(4) == ["250", "250", "250", "354"]
        client.send(MESSAGE + b"QUIT\r\n")
        assert await client.codes(2) == ["250", "221"]
        assert await client.rest() == ""
        await client.close()

    run(scenario, tls_config(tmp_path, mode), [facts], loop=loop)
    (name, tls) = facts.helos[-1]
    assert (name, tls.version, tls.sni) == ("x", "TLSv1.3", NAME)
    assert (tls.peer_subject, tls.peer_fingerprint) == ("", "")
    assert facts.connected == [tls if mode == "implicit" else None]
    assert (facts.helos[0][1] is None) == (mode == "starttls")
    trace = facts.content.decode().splitlines()
    assert trace[1] == f"\t({tls.version} {tls.cipher})"
    assert " with ESMTPS id " in trace[2]


def test_starttls_is_offered_in_the_clear_only(tmp_path, loop):
    async def scenario(running):
        client = await running.connect()
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


def test_starttls_is_not_offered_under_implicit_tls(tmp_path, loop):
    async def scenario(running):
        client = await encrypted(running, "implicit")
        client.send(HELO)
        assert "STARTTLS" not in await lines(client)
        client.send(b"STARTTLS\r\n")
        assert await client.reply() == UNDER_TLS
        await client.close()

    run(scenario, tls_config(tmp_path, "implicit"), loop=loop)


def test_starttls_is_unknown_without_tls(tmp_path):
    async def scenario(running):
        client = await running.connect()
        client.send(HELO + b"STARTTLS\r\n")
        assert await client.codes(3) == ["220", "250", "500"]
        await client.close()

    run(scenario, config(tmp_path))


def test_plugin_edits_the_keywords_before_and_after_starttls(tmp_path):
    class StarttlsOnly(Plugin):
        def on_ehlo(self, session, keywords):
            keywords[:] = [word for word in keywords if word == "STARTTLS"]

    async def scenario(running):
        client = await running.connect()
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

    run(scenario, tls_config(tmp_path, "starttls"), [StarttlsOnly()])


@pytest.mark.parametrize("behind", [b"NOOP\r\n", b"EHLO injected\r\n", b"\x16\x03\x01\x00\x10"])
def test_data_after_starttls_closes_the_session(tmp_path, loop, behind):
    async def scenario(running):
        client = await running.connect()
        client.send(HELO)
        await client.replies(2)
        client.send(b"STARTTLS\r\n" + behind)
        rest = await client.rest()
        assert rest == "554 5.5.1 Improper command pipelining after STARTTLS\r\n"
        await client.close()

    run(scenario, tls_config(tmp_path, "starttls"), loop=loop)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "garbage", [b"EHLO injected\r\nNOOP\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\0" * 400]
)
def test_invalid_handshake_gets_no_reply(tmp_path, loop, mode, garbage):
    async def scenario(running):
        client = await running.connect()
        if mode == "starttls":
            client.send(HELO + b"STARTTLS\r\n")
            assert await client.codes(3) == ["220", "250", "220"]
        client.send(garbage)
        assert await client.reader.read() == b""
        await client.close()
        await running.until(lambda: not running.connections.members)

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_old_tls_version_is_answered_with_an_alert(tmp_path, loop, mode):
    async def scenario(running):
        client = await running.connect()
        if mode == "starttls":
            client.send(HELO + b"STARTTLS\r\n")
            await client.replies(3)
        client.send(TLS_1_0)
        answer = await client.reader.read()
        assert answer[:1] == b"\x15"
        await client.close()

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_handshake_is_closed_after_handshake_timeout(tmp_path, loop, mode):
    async def scenario(running):
        client = await running.connect()
        if mode == "starttls":
            client.send(HELO + b"STARTTLS\r\n")
            await client.replies(3)
        client.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")  # the start of a ClientHello
        await running.until(lambda: running.connections.members)
        await running.until(lambda: all(one.handshaking for one in running.connections.members))
        running.connections.sweep_later(LimitsConfig().handshake_timeout - 1)
        assert len(running.connections.members) == 1
        running.connections.sweep_later(LimitsConfig().handshake_timeout + 1)
        await running.until(lambda: not running.connections.members)
        with contextlib.suppress(ConnectionResetError):
            assert await client.reader.read() == b""
        await client.close()

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_stop_during_a_handshake_closes_the_connection(tmp_path, loop, mode):
    async def scenario(running):
        client = await running.connect()
        if mode == "starttls":
            client.send(HELO + b"STARTTLS\r\n")
            await client.replies(3)
        await running.until(lambda: running.connections.members)
        await running.until(lambda: all(one.handshaking for one in running.connections.members))
        await running.server.stop()
        with contextlib.suppress(ConnectionResetError):
            assert await client.reader.read() == b""
        await client.close()

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_time_out_is_sent_under_tls(tmp_path, loop, mode):
    async def scenario(running):
        client = await encrypted(running, mode)
        client.send(b"NOOP\r\n")
        assert await client.codes(1) == ["250"]
        running.connections.sweep_later(LimitsConfig().command_timeout + 1)
        assert await client.reply() == "421 4.4.2 Timeout exceeded"
        assert await client.rest() == ""
        await client.close()

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_refusal_of_a_connection_is_not_sent_before_implicit_tls(tmp_path, loop, mode):
    async def scenario(running):
        first = await encrypted(running, mode)
        second = await running.connect()
        expected = (
            "" if mode == "implicit" else "421 4.7.0 Too many connections, try again later\r\n"
        )
        assert await second.rest() == expected
        await first.close()
        await second.close()

    run(scenario, tls_config(tmp_path, mode, limits={"connections": 1}), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_close_notify_within_a_message_discards_it(tmp_path, mode):
    async def scenario(running):
        sock, client = await asyncio.to_thread(blocking, running, mode)
        with sock:
            await asyncio.to_thread(exchange, client, ENVELOPE + b"DATA\r\n", 4)
            await asyncio.to_thread(client.sendall, b"Subject: cut\r\n")
            plain = await asyncio.to_thread(client.unwrap)
            await asyncio.to_thread(plain.sendall, b"x\r\n.\r\nNOOP\r\n")
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.to_thread(plain.recv, 1000) == b""
            plain.close()
        await running.until(lambda: not running.connections.members)
        assert list((tmp_path / "mail").glob("*")) == []

    run(scenario, tls_config(tmp_path, mode, to="maildir:mail/{local}"))


@pytest.mark.parametrize("mode", MODES)
def test_refusal_is_read_before_the_connection_closes(tmp_path, loop, mode):
    async def scenario(running):
        client = await encrypted(running, mode)
        client.send(HELO + b"GET / HTTP/1.1\r\n" + b"x" * 100_000)
        assert await client.codes(2) == ["250", "554"]
        assert await client.rest() == ""
        await client.close()

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_aborted_connection_is_removed(tmp_path, loop, mode):
    async def scenario(running):
        client = await encrypted(running, mode)
        client.writer.transport.abort()
        await running.until(lambda: not running.connections.members)

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_long_message_and_many_commands_are_accepted_under_tls(tmp_path, loop, mode):
    async def scenario(running):
        client = await encrypted(running, mode)
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
def test_facts_have_the_certificate_of_the_client(tmp_path, loop, mode):
    facts = TlsRecorder()
    write_authority(tmp_path)

    async def scenario(running):
        with_one = client_context(issued("client.example"))
        for context in (with_one, client_context()):
            client = await encrypted(running, mode, context)
            client.send(HELO)
            await client.reply()
            await client.close()

    run(scenario, tls_config(tmp_path, mode, client_ca="ca.pem"), [facts], loop=loop)
    shown = [tls for _, tls in facts.helos if tls]
    assert shown[0].peer_subject.startswith("CN=client.example,")
    assert len(shown[0].peer_fingerprint) == 64
    assert (shown[1].peer_subject, shown[1].peer_fingerprint) == ("", "")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_ticket_of_one_listener_is_not_accepted_by_another(tmp_path, version):
    made = tls_config(tmp_path, "implicit")
    both = [made.listen[0], msgspec.structs.replace(made.listen[0], tls="starttls")]
    context = client_context(maximum_version=version)

    def visit(running, number, mode, session=None):
        host, _, port = running.server.addresses[number][1].rpartition(":")
        with socket.create_connection((host, int(port))) as sock:
            if mode == "starttls":
                exchange(sock, b"", 1)
                exchange(sock, HELO, 1)
                exchange(sock, b"STARTTLS\r\n", 1)
            with context.wrap_socket(sock, server_hostname=NAME, session=session) as client:
                if mode == "implicit":
                    exchange(client, b"", 1)
                exchange(client, HELO, 1)
                return client.session, client.session_reused

    async def scenario(running):
        ticket, _ = await asyncio.to_thread(visit, running, 0, "implicit")
        _, reused = await asyncio.to_thread(visit, running, 0, "implicit", ticket)
        assert reused
        _, reused = await asyncio.to_thread(visit, running, 1, "starttls", ticket)
        assert not reused

    run(scenario, msgspec.structs.replace(made, listen=both))


def test_mismatched_certificate_prevents_the_start(tmp_path):
    made = tls_config(tmp_path, "starttls")
    _, other = write(tmp_path, "other.example", stem="other")
    (tmp_path / "cert.key").write_bytes(other.read_bytes())

    async def scenario(running):
        raise AssertionError("started")

    with pytest.raises(SetupError) as caught:
        run(scenario, made)
    assert str(caught.value) == (
        f"{tmp_path}/cert.pem: cannot be used: the certificate and the key do not belong together"
        f" (key {tmp_path}/cert.key)"
    )


@pytest.mark.parametrize("mode", MODES)
def test_renewed_certificate_is_shown_and_sessions_continue(tmp_path, loop, mode, monkeypatch):
    watchers = []

    class Watcher(FileWatcher):
        def __init__(self, files, on_change):
            super().__init__(files, on_change, sleep=lambda _seconds: asyncio.Event().wait())
            watchers.append(self)

    monkeypatch.setattr("gatepost.server.server.FileWatcher", Watcher)

    def shown(client):
        return client.writer.get_extra_info("peercert")["subjectAltName"]

    async def scenario(running):
        poll = watchers[-1].poll
        before = await encrypted(running, mode)
        assert shown(before) == (("DNS", NAME),)
        write(tmp_path, NAME, "mail.example.com")
        with capture_logs() as logs:
            await poll()
        after = await encrypted(running, mode, name="mail.example.com")
        assert shown(after) == (("DNS", NAME), ("DNS", "mail.example.com"))
        (tmp_path / "cert.key").write_text("rubbish")
        with capture_logs() as more:
            await poll()
            await poll()
            await poll()
        last = await encrypted(running, mode, name="mail.example.com")
        for client in (before, after, last):
            client.send(ENVELOPE + b"DATA\r\n")
            assert (await client.codes(4))[-1] == "354"
            client.send(MESSAGE)
            assert await client.codes(1) == ["250"]
            await client.close()
        path = str(tmp_path / "cert.pem")
        assert logs == [{"event": "certificate reloaded", "log_level": "info", "path": path}]
        assert [(one["event"], one["log_level"], one["path"]) for one in more] == [
            ("certificate reload failed", "error", path)
        ]
        assert "expected a certificate and a key in PEM form" in more[0]["problem"]

    run(scenario, tls_config(tmp_path, mode), loop=loop)


@pytest.mark.parametrize("mode", MODES)
def test_lmtp_message_is_accepted_under_tls(tmp_path, loop, mode):
    facts = TlsRecorder()
    made = tls_config(tmp_path, mode)
    listen = [msgspec.structs.replace(made.listen[0], protocol="lmtp")]

    async def scenario(running):
        host, _, port = running.server.addresses[0][1].rpartition(":")
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
