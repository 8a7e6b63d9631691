"""`gatepost check --start`: the plugins start and stop, and failures name file and line."""

import threading

import pytest

from gatepost.checks import starting

PLUGIN = "from gatepost import Plugin\nimport asyncio, time\n\n\nclass Mine(Plugin):\n"


@pytest.fixture
def checked(run, folder):
    """Check with this body of a plugin; return the exit status and the errors."""

    def checked(*lines, arguments=("--start",)):
        (folder / "plugins/mine.py").write_text(PLUGIN + "".join(f"    {one}\n" for one in lines))
        with (folder / "gatepost.toml").open("a") as file:
            file.write('\n[[plugin]]\nuse = "plugins/mine.py"\n')
        result = run("check", *arguments)
        return result.exit_code, result.stderr.replace(str(folder), "FOLDER")

    return checked


def test_plugins_are_started_and_stopped(checked, folder):
    assert checked(
        "async def start(self):",
        "    await self.store.set('a', 'b')",
        "    self.every('1h', self.start)",
        "    self.path('started').write_text(await self.store.get('a'))",
        "def stop(self):",
        "    self.path('stopped').touch()",
    ) == (0, "")
    assert (folder / "started").read_text() == "b"
    assert (folder / "stopped").exists()
    assert not (folder / "var" / "store").exists()


def test_nothing_is_started_by_default(checked, folder):
    body = ("def start(self):", "    self.path('started').touch()")
    assert checked(*body, arguments=()) == (0, "")
    assert not (folder / "started").exists()


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (
            ["def start(self):", "    1 / 0"],
            "start() failed: {}:7: ZeroDivisionError: division by zero",
        ),
        (
            ["async def start(self):", "    open('/a')"],
            "start() failed: {}:7: FileNotFoundError: [Errno 2] No such file or directory: '/a'",
        ),
        (
            ["async def stop(self):", "    raise SystemExit(3)"],
            "stop() failed: {}:7: SystemExit: 3",
        ),
        (
            ["async def start(self):", "    raise asyncio.CancelledError"],
            "start() was cancelled",
        ),
    ],
)
def test_a_failure_names_the_line(checked, lines, error):
    status, errors = checked(*lines)
    assert status == 1
    place = "FOLDER/plugins/mine.py"
    assert (
        errors.replace("plugins/mine.py:", "FOLDER/plugins/mine.py:").replace(
            "FOLDER/FOLDER/", "FOLDER/"
        )
        == f"gatepost: plugin mine: {error.format(place)}\n"
    )


def test_a_plugin_that_does_not_return_is_an_error(checked, monkeypatch):
    monkeypatch.setattr(starting, "TIMEOUT", 0.5)
    status, errors = checked(
        "async def start(self):",
        "    await self.connect()",
        "async def connect(self):",
        "    await asyncio.Event().wait()",
    )
    assert status == 1
    assert "plugin mine: start() has not returned within 0.5 s: " in errors
    assert "plugins/mine.py:9\n" in errors


def test_a_plugin_that_blocks_is_an_error(checked, monkeypatch):
    monkeypatch.setattr(starting, "TIMEOUT", 0.5)
    monkeypatch.setattr(starting, "GRACE", 0.5)
    starting.go_on = threading.Event()
    status, errors = checked(
        "def start(self):",
        "    from gatepost.checks import starting",
        "    starting.go_on.wait()",
    )
    starting.go_on.set()
    del starting.go_on
    assert status == 1
    assert "plugin mine: start() blocks: " in errors
    assert "plugins/mine.py:8\n" in errors


def test_an_invalid_configuration_starts_nothing(checked, folder):
    (folder / "verybadrcptto").write_text("not an entry\n")
    body = ("def start(self):", "    self.path('started').touch()")
    assert checked(*body)[0] == 1
    assert not (folder / "started").exists()
