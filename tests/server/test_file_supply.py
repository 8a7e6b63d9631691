"""A process without free file descriptors: one line in the log when it starts, one when it ends."""

import asyncio
import contextlib
import resource

import structlog
from tests.server.loopback import config, run

from gatepost.server.file_supply import FileSupply, ignore_failed_accepts


@contextlib.contextmanager
def no_files():
    """Let no file be opened in the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_an_outage_is_logged_once():
    supply = FileSupply()
    with structlog.testing.capture_logs() as logs:
        supply.check()
        for _ in range(2):
            with no_files():
                supply.check()
                supply.check()
            supply.check()
            supply.check()
    events = [(one["event"], one["log_level"]) for one in logs]
    assert events == [("no more open files", "error"), ("open files available again", "info")] * 2
    assert logs[0]["problem"] == "/dev/null: Too many open files"


def test_a_running_server_tests_its_supply(tmp_path):
    async def scenario(running):
        with structlog.testing.capture_logs() as logs:
            with no_files():
                running.connections._sweep()
            running.connections._sweep()
        return [one["event"] for one in logs]

    events = run(scenario, config(tmp_path))
    assert events == ["no more open files", "open files available again"]


def test_failed_accepts_of_the_event_loop_are_not_logged_again():
    reported = []

    class Loop(asyncio.SelectorEventLoop):
        def default_exception_handler(self, context):
            reported.append(context["message"])

    with contextlib.closing(Loop()) as loop:
        loop.set_exception_handler(ignore_failed_accepts)
        for message in ("socket.accept() out of system resource", "other"):
            loop.call_exception_handler({"message": message})
    assert reported == ["other"]
