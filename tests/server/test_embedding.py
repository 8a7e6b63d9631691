"""The server inside other programs: in their event loop, with other servers, in a thread."""

import asyncio
import smtplib
import ssl
import threading
from email.message import EmailMessage

import pytest
from msgspec.structs import replace
from tests.server.loopback import LOOPS, config

from gatepost.config.problem import ConfigError
from gatepost.config.schema import RecipientsConfig
from gatepost.model.decision import deny
from gatepost.net.self_signed import self_signed
from gatepost.plugin.base import Plugin
from gatepost.plugin.host import PluginError
from gatepost.server.server import Server
from gatepost.session.assemble import SetupError
from gatepost.testing import DEFAULT_CONFIG, Capture, MemoryServer, RunningServer, play

pytest_plugins = ["gatepost.pytest_plugin"]

MESSAGE = b"Subject: x\r\n\r\ntext\r\n"


def send(address, recipient="one@example.com"):
    with smtplib.SMTP(*address) as client:
        client.sendmail("a@client.example", [recipient], MESSAGE)


def address_of(server):
    host, _, port = server.addresses[0][1].rpartition(":")
    return host, int(port)


def in_loop(program, loop):
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        return runner.run(asyncio.wait_for(program, 60))


def test_two_servers_run_in_one_loop(tmp_path, loop):
    captures = [Capture(), Capture()]

    async def program():
        async with (
            Server(config(tmp_path / "a"), [captures[0]]) as one,
            Server(config(tmp_path / "b"), [captures[1]]) as two,
        ):
            assert address_of(one) != address_of(two)
            await asyncio.to_thread(send, address_of(one), "one@example.com")
            await asyncio.to_thread(send, address_of(two), "two@example.com")

    in_loop(program(), loop)
    assert [[one.recipients for one in capture.messages] for capture in captures] == [
        [["one@example.com"]],
        [["two@example.com"]],
    ]


def test_stop_sends_421_to_clients(tmp_path, loop):
    async def program():
        async with Server(config(tmp_path)) as server:
            reader, writer = await asyncio.open_connection(*address_of(server))
            assert (await reader.readline())[:3] == b"220"
            stop = asyncio.create_task(server.stop())
            assert (await reader.readline())[:9] == b"421 4.3.2"
            assert await reader.read() == b""
            writer.close()
            await stop
            with pytest.raises(OSError):
                await asyncio.open_connection(*address_of(server))

    in_loop(program(), loop)


def test_stop_waits_no_longer_than_its_patience(tmp_path, loop):
    """The default gives a client thirty seconds to finish its message."""

    async def program():
        async with Server(config(tmp_path), stop_timeout=0.0) as server:
            reader, writer = await asyncio.open_connection(*address_of(server))
            writer.write(b"EHLO x\r\nMAIL FROM:<>\r\n")
            while not (await reader.readline()).startswith(b"250 2.1.0"):
                pass
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()

    in_loop(program(), loop)


def test_no_task_remains_after_a_stop(tmp_path, loop):
    async def program():
        before = asyncio.all_tasks()
        async with Server(config(tmp_path)) as server:
            await asyncio.to_thread(send, address_of(server))
        return asyncio.all_tasks() - before

    assert in_loop(program(), loop) == set()


class NoFriday(Plugin):
    def on_rcpt(self, tx, rcpt):
        return deny("closed") if tx.received_at.weekday() == 4 else None


def test_running_server_ends_its_thread():
    before = threading.active_count()
    with RunningServer() as server:
        send(server.address)
        assert [one.recipients for one in server.messages] == [["one@example.com"]]
    assert threading.active_count() == before
    with pytest.raises(OSError):
        send(server.address)
    assert server.messages[0].reverse_path == "a@client.example"


def test_running_server_uses_its_plugins_clock_and_configuration():
    made = replace(DEFAULT_CONFIG, recipients=RecipientsConfig(domains=["other.example"]))
    with RunningServer([NoFriday()], config=made, now="2024-01-05T12:00") as server:
        with pytest.raises(smtplib.SMTPRecipientsRefused) as error:
            send(server.address, "one@other.example")
        assert error.value.recipients["one@other.example"][1].startswith(b"5.7.1 closed")
        with pytest.raises(smtplib.SMTPRecipientsRefused):
            send(server.address, "one@example.com")
    assert server.messages == []


def test_delay_of_a_trap_takes_no_time():
    """The delay is one second by default; on this clock it takes no time."""
    clocks = []

    class ClockRecorder(Plugin):
        def on_disconnect(self, _session):
            clocks.append(self.clock.slept)

    with (
        RunningServer([ClockRecorder()], traps=["trap@example.com"]) as server,
        pytest.raises(smtplib.SMTPDataError),
    ):
        send(server.address, "trap@example.com")
    assert clocks == [[1.0]]


def test_server_that_cannot_start_raises_the_reason():
    made = replace(DEFAULT_CONFIG, traps=replace(DEFAULT_CONFIG.traps, lists=["/nowhere"]))
    before = threading.active_count()
    with pytest.raises(SetupError, match=r"^/nowhere: cannot be read: No such file"):
        RunningServer(config=made).__enter__()
    assert threading.active_count() == before


def test_running_server_accepts_the_tables_of_a_configuration_file():
    with RunningServer(config={"recipients": {"domains": ["other.example"]}}) as server:
        send(server.address, "one@other.example")
    assert server.messages[0].recipients == ["one@other.example"]


@pytest.mark.parametrize("make", [RunningServer, MemoryServer])
def test_error_in_a_dict_is_raised_at_once(make):
    with pytest.raises(ConfigError, match=r"recipients\.domain"):
        make(config={"recipients": {"domain": ["other.example"]}})


def test_a_dialogue_accepts_the_tables_of_a_configuration_file():
    play("S: 220 mx.other.example*", config={"server": {"hostname": "mx.other.example"}})


class Broken(Plugin):
    """Raises `error` in its method `method`."""

    def __init__(self, method, error):
        super().__init__()
        self.method, self.error = method, error

    def start(self):
        if self.method == "start":
            raise self.error

    def stop(self):
        if self.method == "stop":
            raise self.error


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (ValueError("x"), PluginError),
        (SystemExit(3), PluginError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_any_exception_of_a_start_is_raised(error, seen):
    before = threading.active_count()
    with pytest.raises(seen):
        RunningServer([Broken("start", error)]).__enter__()
    assert threading.active_count() == before


def test_error_before_the_start_is_raised(monkeypatch):
    def fails(_server, _folder):
        raise LookupError("no configuration")

    monkeypatch.setattr(RunningServer, "_configured", fails)
    with pytest.raises(LookupError, match="no configuration"):
        RunningServer().__enter__()


def test_any_exception_of_a_stop_is_raised():
    with (
        pytest.raises(KeyboardInterrupt),
        RunningServer([Broken("stop", KeyboardInterrupt())]) as server,
    ):
        send(server.address)
    assert len(server.messages) == 1


class Hangs(Plugin):
    def __init__(self, method):
        super().__init__()
        self.method, self.release = method, threading.Event()

    def start(self):
        if self.method == "start":
            self.release.wait()
            raise OSError("the test is over")

    def stop(self):
        if self.method == "stop":
            self.release.wait()

    def end(self):
        """Return from the method, and wait for the end of the server's thread."""
        self.release.set()
        for thread in threading.enumerate():
            if thread.name == "gatepost":
                thread.join()


def test_start_that_hangs_raises_an_error(monkeypatch):
    monkeypatch.setattr("gatepost.testing.running.LIMIT", 0.0)
    plugin = Hangs("start")
    with pytest.raises(TimeoutError, match="the server has not started within"):
        RunningServer([plugin]).__enter__()
    plugin.end()


def test_stop_that_hangs_raises_an_error(monkeypatch):
    plugin = Hangs("stop")
    server = RunningServer([plugin]).__enter__()
    monkeypatch.setattr("gatepost.testing.running.LIMIT", 0.0)
    with pytest.raises(TimeoutError, match="the server has not stopped within"):
        server.__exit__()
    plugin.end()


def test_running_server_can_use_lmtp():
    with RunningServer(protocol="lmtp") as server:
        with smtplib.LMTP(*server.address) as client:
            client.sendmail("a@client.example", ["one@example.com"], MESSAGE)
        assert b" with LMTP id " in server.messages[0].content


def test_connected_client_does_not_delay_the_end():
    with RunningServer() as server:
        client = smtplib.SMTP(*server.address)
        client.ehlo()
        client.mail("a@client.example")
    with pytest.raises(smtplib.SMTPServerDisconnected):
        client.noop()


def test_fixture_provides_a_server(gatepost_server):
    send(gatepost_server.address)
    [message] = gatepost_server.messages
    assert message.recipients == ["one@example.com"]
    assert message.content.endswith(MESSAGE)


class TestOptions:
    @pytest.fixture
    def gatepost_options(self):
        return {"traps": ["trap@example.com"]}

    def test_fixture_uses_the_options(self, gatepost_server):
        with pytest.raises(smtplib.SMTPDataError):
            send(gatepost_server.address, "trap@example.com")


def test_a_server_for_every_domain_accepts_any_recipient():
    with RunningServer(domains=["*"]) as server:
        send(server.address, "someone@mail.example")
        send(server.address, "someone@[192.0.2.1]")
        [message, _] = server.messages
    assert message.recipients == ["someone@mail.example"]


def test_domains_of_a_test_are_checked():
    with pytest.raises(ConfigError, match=r"recipients\.domains\[0\]: expected a domain"):
        RunningServer(domains=["a b"])


def test_a_captured_message_can_be_parsed():
    with RunningServer() as server:
        with smtplib.SMTP(*server.address) as client:
            mail = EmailMessage()
            mail["Subject"] = "Grüße"
            mail.set_content("Hällo.\n")
            client.send_message(mail, "a@client.example", ["one@example.com"])
        parsed = server.messages[0].parse()
    assert (parsed["Subject"], parsed.get_content()) == ("Grüße", "Hällo.\r\n")


@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
def test_a_client_logs_in_with_or_without_tls(tls):
    with RunningServer(tls=tls, users={"alice": "secret"}) as server:
        context = ssl.create_default_context(cadata=server.certificate or None)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        if tls == "implicit":
            client = smtplib.SMTP_SSL(*server.address, context=context)
        else:
            client = smtplib.SMTP(*server.address)
        with client:
            if tls == "starttls":
                client.starttls(context=context)
            with pytest.raises(smtplib.SMTPAuthenticationError):
                client.login("alice", "wrong")
            client.login("alice", "secret")
            client.sendmail("a@client.example", ["one@example.com"], MESSAGE)
        assert len(server.messages) == 1
    assert bool(server.certificate) == (tls != "none")


def test_the_certificate_of_the_configuration_is_used(tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    for path, text in zip((cert, key), self_signed("mx.example.com"), strict=True):
        path.write_text(text)
    tables = {"tls": {"certificates": [{"cert": str(cert), "key": str(key)}]}}
    with RunningServer(config=tables, tls="starttls") as server:
        context = ssl.create_default_context(cafile=cert)
        context.check_hostname = False
        with smtplib.SMTP(*server.address) as client:
            client.starttls(context=context)
        assert server.certificate == ""


@pytest.mark.parametrize("kind", [RunningServer, MemoryServer])
def test_a_bad_trap_raises(kind):
    with pytest.raises(ValueError, match="traps:2: expected local-part@domain"):
        kind(traps=["# traps", "not an entry"])
