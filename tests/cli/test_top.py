"""`gatepost top`: the figures of a real server, and the screen driven as by a user."""

import asyncio
import builtins
import sqlite3

import pytest
from msgspec.structs import replace
from textual.widgets import DataTable, Input, Static

from gatepost.cli import top
from gatepost.cli.shared import top_figures, top_words
from gatepost.cli.shared.top_app import Top
from gatepost.cli.shared.top_figures import Sample, Sampler, WorkerLoad
from gatepost.config.load import load_config
from gatepost.process.live import Live
from gatepost.server.control_socket import Serving
from gatepost.server.live import LiveSession
from gatepost.server.server import Server

SERVING = Serving(0, 814, "0.1", 2, 1.0, pending=3)


def session(ref, age, **facts):
    return LiveSession(ref, "192.0.2.1:25", age, 1.0, "rcpt", 10, 10, "smtp", **facts)


SAMPLE = Sample(
    1.0,
    Live(
        [SERVING],
        [],
        [session("a-1", 90.0, helo="[bold]x\x1b[31m"), session("a-2", 5.0, sender="me@x.example")],
        2,
    ),
    [WorkerLoad(0, 814, 2, 0.25, 0.004)],
    {"accepted": 120, "deferred": 3, "refused": 60},
    [("spam\x1b", 40), ("trap", 20)],
    {"active": 1, "deferred": 2, "held": 0},
    ["process 815 does not answer"],
)


class Fixed:
    """Samples of a test; `taken` is their number."""

    def __init__(self, sample=SAMPLE):
        self.given, self.taken = sample, 0

    def sample(self):
        self.taken += 1
        return self.given


def texts(app):
    table = app.query_one(DataTable)
    return [[str(cell) for cell in table.get_row_at(row)] for row in range(table.row_count)]


def driven(scenario, sampler=None, end=lambda ref: f"{ref} ended", size=(80, 24)):
    """Run the screen in memory and `scenario` with it and its pilot."""

    async def main():
        app = Top(sampler or Fixed(), end, 3600.0)
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            while not app._sample.time:
                await pilot.pause()
            await scenario(app, pilot)

    asyncio.run(main())


def test_the_screen_shows_figures_and_sessions_and_no_markup_of_clients():
    async def scenario(app, pilot):
        await pilot.pause()
        figures = str(app.query_one("#summary", Static).render())
        assert "worker 0  process 814, sessions 2, cpu 25%, lag 4 ms" in figures
        assert "spam\\x1b 40" in figures
        rows = texts(app)
        assert [row[0] for row in rows] == ["a-1", "a-2"]
        assert "[bold]x\\x1b[31m" in rows[0]
        assert app.query_one(DataTable).size.height >= 5  # of 24 lines

    driven(scenario)


def test_sessions_are_sorted_by_the_next_column_and_reversed():
    async def scenario(app, pilot):
        await pilot.press("r")
        assert [row[0] for row in texts(app)] == ["a-2", "a-1"]
        await pilot.press(*"s" * (len(texts(app)[0]) - 1))
        headings = [str(one.label) for one in app.query_one(DataTable).columns.values()]
        assert headings[0] == "session ↑"
        assert [row[0] for row in texts(app)] == ["a-1", "a-2"]

    driven(scenario)


def test_a_filter_selects_rows_until_it_is_empty():
    async def scenario(app, pilot):
        await pilot.press("slash", *"ME@x", "enter")
        assert [row[0] for row in texts(app)] == ["a-2"]
        assert app.query_one(Input).has_class("shown")
        await pilot.press("slash", *["backspace"] * 4, "enter")
        assert len(texts(app)) == 2
        assert not app.query_one(Input).has_class("shown")

    driven(scenario)


def test_a_session_is_ended_after_one_question():
    ended = []

    def end(ref):
        ended.append(ref)
        return f"{ref} ended"

    async def scenario(app, pilot):
        await pilot.press("down", "k", "n")
        await pilot.press("k", "escape")
        assert ended == []
        await pilot.press("k", "y")
        while not app._notifications:
            await pilot.pause()
        assert ended == ["a-2"]

    driven(scenario, end=end)


def test_without_a_session_there_is_nothing_to_end():
    async def scenario(app, pilot):
        await pilot.press("k")
        assert len(app.screen_stack) == 1
        assert texts(app) == []

    driven(scenario, Fixed(Sample(1.0, None)))


def test_the_cursor_stays_at_its_session():
    async def scenario(app, pilot):
        await pilot.press("down")
        more = [session("a-0", 900.0), *SAMPLE.live.sessions]
        app.show(replace(SAMPLE, live=replace(SAMPLE.live, sessions=more)))
        await pilot.pause()
        assert app.chosen == "a-2"

    driven(scenario)


def test_a_pause_takes_no_samples():
    sampler = Fixed()

    async def scenario(app, pilot):
        app._interval = 0.0
        await pilot.press("p")
        taken = sampler.taken
        for _ in range(5):
            await pilot.pause()
        assert sampler.taken == taken
        await pilot.press("p", "q")

    driven(scenario, sampler)


def test_no_color_is_obeyed(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")

    async def scenario(app, _pilot):
        assert app.no_color

    driven(scenario)


def test_the_figures_as_text():
    assert list(top_words.summary(SAMPLE)) == [
        "sessions  2 in 1 worker, 3 without their PROXY header",
        "worker 0  process 814, sessions 2, cpu 25%, lag 4 ms",
        "minute    accepted 120 (2.0/s), 4xx 3 (0.1/s), 5xx 60 (1.0/s)",
        "reasons   spam\\x1b 40   trap 20",
        "queue     active 1, deferred 2, held 0",
        "problem   process 815 does not answer",
    ]
    lines = list(top_words.snapshot(SAMPLE, 1))
    assert lines[6] == ""
    assert lines[7].split()[:2] == ["session", "age"]
    assert "\x1b" not in "".join(lines)
    assert len(lines) == 9


def test_figures_that_are_missing_are_a_dash():
    assert list(top_words.summary(Sample(0.0, None))) == [
        "sessions  -",
        "minute    -",
        "reasons   -",
        "queue     -",
    ]


def test_many_workers_share_a_line():
    workers = [WorkerLoad(number, 1, 0, None, 0.0) for number in range(7)]
    lines = list(top_words.summary(Sample(0.0, None, workers)))
    assert lines[4:6] == [
        "worker 3  process 1, sessions 0, cpu -, lag 0 ms",
        "          and 3 more workers",
    ]


@pytest.fixture
def real(folder):
    """Run a real server with a ledger; `real(scenario)` passes a function that sends lines."""
    text = (folder / "gatepost.toml").read_text()
    (folder / "gatepost.toml").write_text(text.replace(":2525", ":0"))
    config = load_config(folder / "gatepost.toml")

    async def main(scenario):
        async with Server(config, control=True, ledger=True) as server:
            host, _, port = server.addresses[0][1].rpartition(":")

            async def send(*lines):
                reader, writer = await asyncio.open_connection(host, int(port))
                for line in ("", *lines):
                    if line:
                        writer.write(line.encode() + b"\r\n")
                    while (await reader.readline())[3:4] == b"-":
                        pass
                return writer

            return await scenario(config, send)

    return lambda scenario: asyncio.run(main(scenario))


def test_the_figures_of_a_real_server(real):
    async def scenario(config, send):
        sampler = Sampler(config)
        first = await asyncio.to_thread(sampler.sample)
        open_ = await send("EHLO open.example")
        (await send("EHLO x", "MAIL FROM:<>", "RCPT TO:<me@other.example>", "QUIT")).close()
        found = first
        while not sum(found.results.values()):
            found = await asyncio.to_thread(sampler.sample)
        later = await asyncio.to_thread(Sampler(config).sample)
        open_.close()
        return first, found, later

    first, found, later = real(scenario)
    assert first.workers[0].cpu is None
    assert found.workers[0].cpu >= 0
    assert next(one.helo for one in found.live.sessions) == "open.example"
    assert found.results == {"accepted": 0, "deferred": 0, "refused": 1} == later.results
    assert found.reasons == later.reasons != []
    assert found.queue == {"active": 0, "deferred": 0, "held": 0}
    assert found.problems == []


def test_once_prints_the_figures_of_a_real_server(real, run):
    async def scenario(_config, send):
        writer = await send("EHLO open.example")
        result = await asyncio.to_thread(run, "top", "--once", "--limit", 5)
        writer.close()
        return result

    result = real(scenario)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "sessions  1 in 1 worker"
    assert "open.example" in lines[-1]


def test_once_without_a_server_prints_the_problems(run, folder):
    result = run("top", "--once")
    assert result.exit_code == 0
    assert f"problem   not running: no server uses {folder / 'var'}" in result.stdout


def test_problems_of_the_parts_are_listed_and_the_others_are_shown(folder, monkeypatch):
    def refuse(*_arguments):
        raise PermissionError(13, "Permission denied")

    def damaged(*_arguments):
        raise sqlite3.DatabaseError("malformed")

    config = load_config(folder / "gatepost.toml")
    monkeypatch.setattr(top_figures, "live_sessions", refuse)
    monkeypatch.setattr(top_figures.admin, "depth", damaged)
    now = [0.0]
    sampler = Sampler(config, lambda: now[0])
    found = sampler.sample()
    assert (found.live, found.results, found.workers) == (None, None, [])
    assert found.problems[0] == "Permission denied"
    assert "no ledger" in found.problems[1]
    assert found.problems[2].startswith("the spool cannot be read")
    now[0] = top_figures.QUEUE_EVERY / 2
    assert (sampler.sample().queue, len(sampler.sample().problems)) == (None, 2)


def test_records_leave_the_window():
    recent = object.__new__(top_figures.Recent)
    recent._news, recent._found = list, top_figures.deque()
    recent._found.extend(
        [(0.0, "refused", "old"), (50.0, "refused", "new"), (51.0, "accepted", "")]
    )
    results, reasons = recent.count(now=top_figures.WINDOW + 1)
    assert results == {"accepted": 1, "deferred": 0, "refused": 1}
    assert reasons == [("new", 1)]


def test_the_screen_needs_a_terminal(run, folder):
    result = run("top")
    assert result.exit_code == 1
    assert "must be a terminal: --once prints the figures" in result.stderr


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setattr(top, "_is_terminal", lambda: True)


def test_without_the_extra_the_command_names_it(run, folder, monkeypatch, terminal):
    original = builtins.__import__

    def importing(name, *rest, **more):
        if name == "gatepost.cli.shared.top_app":
            raise ModuleNotFoundError(name)
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", importing)
    result = run("top")
    assert result.exit_code == 1
    assert "pip install 'gatepost[top]'" in result.stderr


def test_the_command_runs_the_screen_and_ends_sessions(run, folder, monkeypatch, terminal):
    seen = []

    def run_app(app):
        seen.append((app._end("x-1"), app._interval, top.os.environ.get("NO_COLOR")))

    monkeypatch.setattr(Top, "run", run_app)
    monkeypatch.setenv("NO_COLOR", "")
    assert run("top", "--interval", "10ms", "--no-color").exit_code == 0
    assert seen == [(f"not running: no server uses {folder / 'var'}", top.LEAST, "1")]
