"""`gatepost filter` between OpenSMTPD and a policy listener, both played by the test."""

import asyncio
import contextlib

import pytest
from tests.waiting import until

from gatepost.config.listen import InetAddress, UnixAddress
from gatepost.process import filter as module
from gatepost.process.filter import ACCEPT, DEFER, MAX_LINE, Relay
from gatepost.wire.opensmtpd import REGISTRATION

GONE = "report|0.6|1|smtp-in|link-disconnect|{}\n"


def asked(session="s1", phase="rcpt-to", value="a@example.com"):
    return f"filter|0.6|1|smtp-in|{phase}|{session}|t|{value}\n"


class Listener:
    """A policy listener; `answer` is called with each request and returns the octets to send."""

    def __init__(self, answer):
        self.answer = answer
        self.requests, self.opened, self.closed = [], 0, 0

    async def serve(self, reader, writer):
        self.opened += 1
        with contextlib.suppress(asyncio.IncompleteReadError):
            while request := await reader.readuntil(b"\n\n"):
                self.requests.append(request.decode())
                answer = self.answer(request.decode())
                if asyncio.iscoroutine(answer):
                    answer = await answer
                if not answer:
                    break
                writer.write(answer)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        self.closed += 1


def relayed(scenario, answer=lambda _: b"action=DUNNO\n\n", unavailable=DEFER):
    """Run a scenario with the lines to send, the lines that came, and the listener."""
    written, problems = [], []

    async def main():
        listener = Listener(answer)
        async with await asyncio.start_server(listener.serve, "127.0.0.1", 0) as server:
            address = InetAddress(*server.sockets[0].getsockname())
            lines = asyncio.StreamReader(MAX_LINE)
            relay = Relay(address, written.append, problems.append, unavailable)
            running = asyncio.ensure_future(relay.run(lines))
            await scenario(lines, written, listener)
            lines.feed_eof()
            await running
            await until(lambda: listener.closed == listener.opened)

    asyncio.run(asyncio.wait_for(main(), 30))
    return written, problems


def test_the_filter_registers_when_the_configuration_is_complete():
    async def scenario(lines, written, _):
        lines.feed_data(b"config|smtpd-version|6.8\nconfig|ready\n")
        await until(lambda: written)

    assert relayed(scenario) == ([REGISTRATION], [])


def test_a_request_gets_the_answer_of_the_listener():
    async def scenario(lines, written, listener):
        lines.feed_data(asked().encode())
        await until(lambda: written)
        assert "recipient=a@example.com\n" in listener.requests[0]

    answer = b"action=554 5.7.1 No\n\n"
    written, _ = relayed(scenario, lambda _: answer)
    assert written == ["filter-result|s1|t|reject|554 5.7.1 No\n"]


def test_a_session_that_waits_does_not_delay_another():
    gate = asyncio.Event()

    async def slow():
        await gate.wait()
        return b"action=450 slow\n\n"

    def answer(request):
        return slow() if "instance=s1" in request else b"action=DUNNO\n\n"

    async def scenario(lines, written, listener):
        lines.feed_data((asked("s1") + asked("s2")).encode())
        await until(lambda: written)
        assert written == ["filter-result|s2|t|proceed\n"]
        gate.set()
        await until(lambda: len(written) == 2)
        assert listener.opened == 2

    written, _ = relayed(scenario, answer)
    assert written[1] == "filter-result|s1|t|reject|450 slow\n"


def test_a_session_has_one_connection_until_it_ends():
    async def scenario(lines, written, listener):
        lines.feed_data((asked() + asked(phase="data", value="")).encode())
        await until(lambda: len(written) == 2)
        assert (listener.opened, listener.closed) == (1, 0)
        lines.feed_data((GONE.format("s1") + GONE.format("unknown")).encode())
        await until(lambda: listener.closed)

    relayed(scenario)


@pytest.mark.parametrize(
    ("unavailable", "expected"), [(DEFER, f"disconnect|{DEFER}"), (ACCEPT, "proceed")]
)
@pytest.mark.parametrize("answer", [b"", b"other=DUNNO\n\n", b"\xff\n\n", b"a" * 70_000 + b"\n\n"])
def test_an_answer_that_is_none_is_replaced(answer, unavailable, expected):
    async def scenario(lines, written, _):
        lines.feed_data(asked().encode())
        await until(lambda: written)

    written, problems = relayed(scenario, lambda _: answer, unavailable)
    assert written == [f"filter-result|s1|t|{expected}\n"]
    assert len(problems) == 1


def test_a_connection_that_the_listener_has_closed_is_opened_again():
    answers = iter([b"action=DUNNO\n\n", b"", b"action=450 x\n\n"])

    async def scenario(lines, written, listener):
        lines.feed_data(asked().encode())
        await until(lambda: written)
        lines.feed_data(asked().encode())
        await until(lambda: len(written) == 2)
        assert listener.opened == 2

    written, problems = relayed(scenario, lambda _: next(answers))
    assert written == ["filter-result|s1|t|proceed\n", "filter-result|s1|t|reject|450 x\n"]
    assert problems == []


def test_an_answer_that_takes_too_long_is_replaced(monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.01)

    gate = asyncio.Event()

    async def late():
        await gate.wait()
        return b""

    async def scenario(lines, written, _):
        lines.feed_data(asked().encode())
        await until(lambda: written)
        gate.set()

    written, problems = relayed(scenario, lambda _: late())
    assert written == [f"filter-result|s1|t|disconnect|{DEFER}\n"]
    assert problems == ["TimeoutError"]


def test_a_line_that_is_too_long_is_skipped():
    async def scenario(lines, written, _):
        lines.feed_data(b"x" * (2 * MAX_LINE) + b"\n" + asked().encode())
        await until(lambda: written)

    written, _ = relayed(scenario)
    assert written == ["filter-result|s1|t|proceed\n"]


def test_a_listener_that_cannot_be_reached_is_reported(tmp_path):
    written, problems = [], []

    async def main():
        lines = asyncio.StreamReader(MAX_LINE)
        lines.feed_data(asked().encode())
        lines.feed_eof()
        address = UnixAddress(str(tmp_path / "missing"))
        await Relay(address, written.append, problems.append).run(lines)

    asyncio.run(main())
    assert written == [f"filter-result|s1|t|disconnect|{DEFER}\n"]
    assert "No such file" in problems[0]
