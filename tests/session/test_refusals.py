"""Refusals: each has a reference in its reply, and is recorded with the same reference.

Outside of transactions it also has a line in the log.
"""

import asyncio
import re

import pytest
from structlog.testing import CapturingLogger, capture_logs
from tests.auth.samples import b64, plain
from tests.session.authentication import auth_config
from tests.session.dialogue import OPEN, config, plugin

from gatepost.config.schema import Config, LimitsConfig, SmtpConfig
from gatepost.model.decision import deny
from gatepost.model.reply import RecipientReplies, Reply
from gatepost.session import log_budget
from gatepost.session.log import LogRecorder
from gatepost.session.log_budget import LogBudget
from gatepost.testing import MemoryServer, perform, play

ENVELOPE = "C: MAIL FROM:<a@b.example>\nS: 250\nC: RCPT TO:<one@example.com>\nS: 250\n"
NAMED = re.compile(r"\[([0-9a-f]+-[0-9a-f]+(?:\.[0-9]+)?)\]\Z")
REFUSALS = ("refused", "deferred", "abandoned", "timed out", "early talker", "TLS failed")


def refused(logs):
    return [one for one in logs if one["event"] in REFUSALS]


def assert_recorded(reply, logs, records):
    """Check that one record has the reply, with its reference; return the line with that."""
    reference = NAMED.search(reply)[1]
    answers = [(one.ref, answer) for one in records for answer in one.answers]
    [(ref, answer)] = [one for one in answers if one[1].reply == reply]
    assert ref == reference
    assert answer.by
    assert answer.verdict == ("deny" if reply[0] == "5" else "defer")
    [line] = [one for one in refused(logs) if one.get("reply") == reply or "." in reference]
    assert line["ref"] == reference
    assert line["log_level"] == "info"
    assert line["peer"] == "192.0.2.1:50000"
    return line


def played(transcript, plugins=(), *, protocol="smtp", **options):
    """Play a transcript; return the last reply, the log and the records."""

    async def scenario(server):
        client = server.connect(protocol=protocol)
        await perform(client, transcript)
        await client.close()
        return client.replies[-1]

    return in_memory(scenario, plugins=plugins, **options)


FAULTS = {
    "MAIL with one bracket": "C: MAIL FROM:<a@b.example\nS: 501",
    "unknown MAIL parameter": "C: MAIL FROM:<a@b.example> X=1\nS: 555",
    "unknown command": "C: XYZZY\nS: 500",
    "no command": "C: 1234\nS: 500",
    "EXPN": "C: EXPN list\nS: 502",
    "RCPT before MAIL": "C: RCPT TO:<one@example.com>\nS: 503",
    "nested MAIL": ENVELOPE + "C: MAIL FROM:<a@b.example>\nS: 503",
    "DATA without a recipient": "C: MAIL FROM:<a@b.example>\nS: 250\nC: DATA\nS: 554",
    "RCPT syntax": "C: MAIL FROM:<a@b.example>\nS: 250\nC: RCPT TO:one\nS: 501",
    "HTTP": "C: GET / HTTP/1.1\nS: 554",
    "line too long": f"C: NOOP {'x' * 3000}\nS: 500",
    "bad character": "C: NOOP \x01\nS: 500",
    "BDAT without a size": ENVELOPE + "C: BDAT\nS: 501",
    "BDAT before MAIL": "C: BDAT 0 LAST\nS: 503",
    "BDAT too big": ENVELOPE + f"C: BDAT {2**40} LAST\nS: 552",
    "NUL in the content": ENVELOPE + "C: DATA\nS: 354\nC: a\x00b\nC: .\nS: 550",
    "STARTTLS not offered": "C: STARTTLS\nS: 500",
    "AUTH not offered": "C: AUTH PLAIN\nS: 500",
    "unknown recipient": "C: MAIL FROM:<a@b.example>\nS: 250\nC: RCPT TO:<x@other.example>\nS: 550",
}


@pytest.mark.parametrize("transcript", FAULTS.values(), ids=FAULTS)
def test_a_refused_command_is_recorded_with_its_reference(transcript):
    reply, logs, records = played(OPEN + transcript)
    line = assert_recorded(reply, logs, records)
    assert line["helo"] == "client.example"
    assert len(refused(logs)) == 1


@pytest.mark.parametrize("transcript", FAULTS.values(), ids=FAULTS)
def test_a_refusal_in_lmtp_is_recorded_with_its_reference(transcript):
    start = OPEN.replace("EHLO", "LHLO")
    transcript = transcript.replace("DATA\nS: 554", "DATA\nS: 503")
    assert_recorded(*played(start + transcript, protocol="lmtp"))


def test_lmtp_refuses_helo_with_a_reference():
    assert_recorded(*played("S: 220\nC: EHLO x\nS: 500", protocol="lmtp"))


AUTH = {
    "unknown mechanism": "C: AUTH XYZZY\nS: 504",
    "not base64": "C: AUTH PLAIN ?\nS: 501",
    "malformed": "C: AUTH PLAIN YQ==\nS: 501",
    "cancelled": "C: AUTH PLAIN\nS: 334\nC: *\nS: 501",
    "wrong password": f"C: AUTH PLAIN {b64(plain(password='wrong'))}\nS: 535",
}


@pytest.mark.parametrize("transcript", AUTH.values(), ids=AUTH)
def test_a_refused_login_is_recorded_with_its_reference(transcript, tmp_path):
    assert_recorded(*played(OPEN + transcript, settings=auth_config(tmp_path)))


LIMITS = {
    "errors": "C: EXPN x\nS: 502\nC: EXPN x\nS: 421",
    "junk_commands": "C: NOOP\nS: 250\nC: NOOP\nS: 421",
}


@pytest.mark.parametrize(("limit", "transcript"), LIMITS.items(), ids=LIMITS)
def test_a_limit_that_ends_the_session_is_recorded_with_its_reference(limit, transcript):
    limited = config(limits={limit: 2})
    assert assert_recorded(*played(OPEN + transcript, settings=limited))["reason"] == limit


def test_too_many_failed_logins_are_recorded_with_their_reference(tmp_path):
    login = f"C: AUTH PLAIN {b64(plain(password='wrong'))}\nS: 421\n"
    limited = auth_config(tmp_path, limits={"auth_failures": 1})
    line = assert_recorded(*played(OPEN + login, settings=limited))
    assert line["reason"] == "auth_failures"


def in_memory(scenario, settings=None, plugins=()):
    """Run a scenario with a server; return the last reply, the log and the records."""
    records = []

    async def main():
        options = {"config": settings or config(), "records": records.append}
        async with MemoryServer(plugins, **options) as server:
            return await scenario(server)

    with capture_logs() as logs:
        reply = asyncio.run(main())
    return reply, logs, records


def test_a_time_out_is_recorded_with_its_reference():
    async def scenario(server):
        client = server.connect()
        await client.reply()
        (member,) = server.connections.members
        member.sweep(server.connections.now + 400)
        return await client.reply()

    assert assert_recorded(*in_memory(scenario))["reason"] == "command_timeout"


def test_a_refused_connection_is_recorded_with_its_reference():
    async def scenario(server):
        await server.connect().reply()
        return await server.connect().reply()

    limited = Config(limits=LimitsConfig(connections_per_ip=1))
    line = assert_recorded(*in_memory(scenario, limited))
    assert (line["reason"], line["peer"]) == ("connections_per_ip", "192.0.2.1:50000")


def test_an_early_talker_is_recorded_with_its_reference():
    async def scenario(server):
        client = server.connect()
        client.send(b"EHLO x\r\n")
        return await client.reply()

    patient = Config(smtp=SmtpConfig(greeting_delay=1.0))
    assert assert_recorded(*in_memory(scenario, patient))["reason"] == "greeting_delay"


def test_a_session_that_ends_with_the_server_is_recorded_with_its_reference():
    async def scenario(server):
        client = server.connect()
        await client.reply()
        await server.connections.drain(1.0)
        return await client.reply()

    assert assert_recorded(*in_memory(scenario))["reason"] == "shutdown"


def test_a_client_that_connects_while_the_server_stops_is_recorded():
    async def scenario(server):
        server.connections.draining = True
        return await server.connect().reply()

    assert assert_recorded(*in_memory(scenario))["reason"] == "shutdown"


def test_content_that_arrives_during_a_slow_data_is_recorded():
    async def slow(_tx):
        await asyncio.sleep(0)

    async def scenario(server):
        client = server.connect()
        client.send(b"EHLO x\r\n")
        await client.reply()
        await client.reply()
        client.send(b"MAIL FROM:<a@b.example>\r\nRCPT TO:<one@example.com>\r\n")
        await client.reply()
        await client.reply()
        client.send(b"DATA\r\n")
        client.send(b"x\r\n.\r\n")
        return await client.reply()

    strict = config(smtp=SmtpConfig())
    reply, logs, records = in_memory(scenario, strict, [plugin(on_data=slow)])
    assert reply.startswith("554 5.5.0 Improper command pipelining")
    line = assert_recorded(reply, logs, records)
    assert line["recipients"] == ["one@example.com"]


def test_an_internal_error_has_the_reference_of_its_line():
    async def scenario(server):
        server.setup.domains = (None,)
        client = server.connect()
        client.send(b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<one@example.com>\r\n")
        return [await client.reply() for _ in range(4)][-1]

    reply, logs, records = in_memory(scenario)
    (line,) = [one for one in logs if one["event"] == "session failed"]
    assert (line["reply"], line["ref"]) == (reply, NAMED.search(reply)[1])
    assert assert_recorded(reply, logs, records)["faults"] == 1


def test_a_refused_chunk_is_recorded_once():
    def refuse(_tx):
        return deny()

    chunk = "C: BDAT 3 LAST\nC: x\nS: 554"
    assert_recorded(*played(OPEN + ENVELOPE + chunk, [plugin(on_data=refuse)]))


def test_replies_for_each_recipient_get_references():
    refusal, accepted = Reply(550, "No"), Reply(250, "Ok")
    replies = RecipientReplies([refusal, accepted]).with_reference("1-2")
    assert [str(one) for one in replies.each] == ["550 No [1-2]", "250 Ok"]


def test_a_reply_keeps_its_reference():
    reply = Reply(550, "No").with_reference("1-2")
    assert str(reply.with_reference("3-4").closing()) == "550 No [1-2]"
    assert reply.closing().reference == "1-2"


# The limit of lines


def test_lines_of_one_session_are_limited(monkeypatch):
    monkeypatch.setattr(log_budget, "PER_SESSION", 3)
    with capture_logs() as logs:
        play(OPEN + "C: EXPN x\nS: 502\n" * 5, config=config())
    assert len(refused(logs)) == 3
    (omitted,) = [one for one in logs if one["event"] == "refusals not logged"]
    assert (omitted["count"], omitted["peer"]) == (2, "192.0.2.1:50000")
    assert omitted["ref"] == refused(logs)[0]["ref"]


def test_refused_transactions_count_as_lines_of_their_session(monkeypatch):
    monkeypatch.setattr(log_budget, "PER_SESSION", 1)
    with capture_logs() as logs:
        play(
            OPEN + (ENVELOPE + "C: DATA\nS: 554\nC: RSET\nS: 250\n") * 3,
            [plugin(on_data=lambda _tx: deny("no"))],
            config=config(),
        )
    assert len(refused(logs)) == 1
    (omitted,) = [one for one in logs if one["event"] == "refusals not logged"]
    assert omitted["count"] == 2


def test_an_accepted_message_gives_the_lines_back(monkeypatch):
    monkeypatch.setattr(log_budget, "PER_SESSION", 1)
    twice = "C: EXPN x\nS: 502\n" * 2
    message = ENVELOPE + "C: DATA\nS: 354\nC: x\nC: .\nS: 250\n"
    with capture_logs() as logs:
        play(OPEN + twice + message + twice, config=config())
    events = [one["event"] for one in logs]
    assert events == ["refused", "refusals not logged", "accepted", *events[:2]]


def test_lines_of_all_sessions_are_limited_by_the_minute(monkeypatch):
    monkeypatch.setattr(log_budget, "PER_MINUTE", 2)
    clock, log = [100.0], CapturingLogger()
    budget = LogBudget(log, lambda: clock[0])
    assert [budget.allows(f"{one}") for one in range(4)] == [True, True, False, False]
    assert log.calls == []
    clock[0] += 60
    assert budget.allows("5")
    assert budget.allows("6")
    assert [one.kwargs for one in log.calls] == [{"count": 2}]


def test_a_clock_that_is_set_back_starts_a_new_minute(monkeypatch):
    monkeypatch.setattr(log_budget, "PER_MINUTE", 1)
    clock = [100_000.0]
    budget = LogBudget(CapturingLogger(), lambda: clock[0])
    assert budget.allows("")
    clock[0] = 0.0
    assert budget.allows("")


def test_the_count_of_all_omitted_lines_is_logged(monkeypatch):
    monkeypatch.setattr(log_budget, "PER_MINUTE", 1)
    now = [0.0]

    async def scenario(server):
        for seconds in (0.0, 0.0, 0.0, 61.0):
            now[0] += seconds
            client = server.connect()
            client.send(b"EXPN x\r\n")
            await client.reply()
            await client.reply()

    async def main():
        recorder = LogRecorder(lambda: now[0])
        async with MemoryServer(config=config(), recorder=recorder) as server:
            await scenario(server)

    with capture_logs() as logs:
        asyncio.run(main())
    counts = [one["count"] for one in logs if one["event"] == "refusals not logged"]
    assert counts == [2]


def test_no_refusal_is_counted_after_its_session():
    async def scenario(server):
        client = server.connect()
        client.send(b"EXPN x\r\nEHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<one@example.com>\r\n")
        assert [(await client.reply())[:3] for _ in range(5)][-1] == "250"
        await client.close()
        return server.setup.recorder._inner._budget.spent

    assert in_memory(scenario)[0] == {}
