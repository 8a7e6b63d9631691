"""A trial in a process of its own: its result, its limits, and its end."""

import asyncio
import os
from pathlib import Path

import pytest
from tests.process.supervised import eventually, parent

from gatepost.checks.trial import apart, task
from gatepost.checks.trial.apart import TrialError, run_apart
from gatepost.checks.trial.envelope import Given, read_envelope, short_message
from gatepost.config.load import load_config
from gatepost.ledger.records import Transaction

SECONDS = 60.0
TABLES = """
[[listen]]
address = "127.0.0.1:0"
[recipients]
domains = ["example.com"]
[[route]]
to = "discard:"
"""
ENVELOPE = read_envelope(Given(recipients=["bob@example.com"]), {""})


def configured(folder, *body, more=""):
    """Write a configuration, with a plugin of these lines if there are any; return its path."""
    file = folder / "gatepost.toml"
    file.write_text(TABLES + more)
    if body:
        lines = "".join(f"    {line}\n" for line in body)
        (folder / "mine.py").write_text(
            f"import os, subprocess, sys, time, asyncio\nfrom pathlib import Path\n"
            f"from gatepost import Plugin, accept, defer, deny\nclass Mine(Plugin):\n{lines}"
        )
        file.write_text(f'{TABLES}{more}[[plugin]]\nuse = "mine.py"\n')
    return file


def tried(config, content=None, seconds=SECONDS):
    message = short_message(ENVELOPE) if content is None else content
    return asyncio.run(run_apart(config, ENVELOPE, message, seconds))


def problem(config, seconds=SECONDS):
    with pytest.raises(TrialError) as caught:
        tried(config, seconds=seconds)
    return caught.value


def test_a_trial_has_its_steps_and_its_log(tmp_path):
    file = configured(
        tmp_path,
        "def on_mail(self, tx, sender):",
        "    self.log.info('seen', pid=os.getpid())",
        "    print('printed')",
        "def on_rcpt(self, tx, rcpt):",
        "    return deny('no', reason='why')",
    )
    for config in (str(file), load_config(file)):
        found = tried(config)
        last = found.trial.steps[-1]
        assert (last.hook, last.by, last.answer) == ("rcpt", "mine", "deny (why)")
        [opinion] = last.opinions
        assert (opinion.plugin, opinion.opinion) == ("mine", "deny (why)")
        assert "seen plugin=mine" in found.log
        assert f"pid={os.getpid()}" not in found.log
        assert "printed" in found.log
        transaction = next(one for one in found.records if isinstance(one, Transaction))
        assert (transaction.by, transaction.reason) == ("mine", "why")


def test_the_content_is_passed_as_it_is(tmp_path):
    file = configured(
        tmp_path,
        "def on_message(self, tx):",
        "    return deny() if bytes(tx.message).endswith(b'\\xff\\x00\\xe4\\r\\n') else None",
    )
    with_nul = tried(str(file), b"Subject: x\r\n\r\n\xff\x00\xe4\r\n").trial.steps[-1]
    assert with_nul.reply.startswith("550 5.6.0")  # the server refuses NUL itself
    found = tried(str(file), b"Subject: x\r\n\r\n\xff\xe4\r\n" + b"x" * 3_000_000)
    assert found.trial.accepted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[limits]\nrecipients = 0\n", "limits.recipients: expected a whole number from 1 to"),
        ("[traps]\nlists = ['none']\n", "none: cannot be read: No such file or directory"),
    ],
)
def test_an_unusable_configuration_is_a_problem(tmp_path, text, expected):
    assert expected in str(problem(str(configured(tmp_path, more=text))))


def test_a_missing_file_is_a_problem(tmp_path):
    expected = f"{tmp_path}/other.toml: cannot be read: No such file or directory"
    assert str(problem(f"{tmp_path}/other.toml")) == expected


def test_a_plugin_that_cannot_start_is_a_problem(tmp_path):
    file = configured(tmp_path, "async def start(self):", "    raise OSError('no database')")
    assert "plugin mine: start() failed" in str(problem(str(file)))


def test_a_process_that_dies_is_a_problem(tmp_path):
    file = configured(tmp_path, "def on_rcpt(self, tx, rcpt):", "    os.kill(os.getpid(), 9)")
    assert str(problem(str(file))) == "The process of the trial has failed: signal SIGKILL."


def test_a_trial_without_an_end_is_ended(tmp_path):
    file = configured(tmp_path, "def on_rcpt(self, tx, rcpt):", "    time.sleep(3600)")
    assert str(problem(str(file), seconds=1.0)) == "The trial took longer than 1 seconds."


def test_memory_is_limited(tmp_path):
    file = configured(
        tmp_path,
        "def on_rcpt(self, tx, rcpt):",
        f"    bytearray({task.MEMORY})",
    )
    found = tried(str(file))
    assert found.trial.steps[-1].answer == "defer (plugin-failed)"
    assert "MemoryError" in found.log


@pytest.mark.parametrize("wait", ["time.sleep(3600)", "await asyncio.sleep(3600)"])
def test_programs_end_with_a_trial_that_is_given_up(tmp_path, wait):
    file = configured(
        tmp_path,
        "async def on_rcpt(self, tx, rcpt):",
        "    child = subprocess.Popen(['sleep', '3600'])",
        f"    Path({str(tmp_path)!r}, 'new').write_text(f'{{os.getpid()}} {{child.pid}}')",
        f"    Path({str(tmp_path)!r}, 'new').rename({str(tmp_path / 'pids')!r})",
        f"    {wait}",
    )

    async def give_up():
        running = asyncio.create_task(run_apart(str(file), ENVELOPE, b"", 600.0))
        await asyncio.to_thread(eventually, (tmp_path / "pids").exists)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(give_up())
    pids = [int(one) for one in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    for pid in pids:
        eventually(lambda pid=pid: parent(pid) is None)


def test_the_log_is_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(apart, "MOST_LOG", 100)
    file = configured(tmp_path, "def on_rcpt(self, tx, rcpt):", "    print('x' * 1_000_000)")
    found = tried(str(file))
    assert found.trial.accepted
    assert found.log == "x" * 100 + " …"


STATEFUL = """
[[plugin]]
use = "greylist"
[[plugin]]
use = "reputation"
[[plugin]]
use = "standing"
[[plugin]]
use = "rate_limit"
options = { rules = [{ name = "client", by = ["address"], rate = "1/1h" }] }
[[plugin]]
use = "trap_memory"
"""


def contents(folder):
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def test_a_trial_changes_nothing_in_the_data_folder(tmp_path):
    (tmp_path / "traps").write_text("trap@example.com\n")
    privacy = '[ledger]\nprivacy = ["addresses"]\n'
    file = configured(tmp_path, more=f'{privacy}[traps]\nlists = ["traps"]\n{STATEFUL}')
    data = tmp_path / "var"
    for name in ("cache", "ledger", "spool", "store"):
        (data / name).mkdir(parents=True)
        (data / name / "file").write_text(name)
    before = contents(data)
    trap = read_envelope(Given(recipients=["trap@example.com"]), {""})
    for envelope in (ENVELOPE, trap):
        asyncio.run(run_apart(str(file), envelope, short_message(envelope), SECONDS))
    assert contents(data) == before
    assert sorted(one.name for one in data.iterdir()) == ["cache", "ledger", "spool", "store"]
