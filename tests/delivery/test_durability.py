"""The order of disk operations: recorded, traced with strace, and after kills."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.delivery.samples import delivery, message, recipient

from gatepost.delivery.maildir.maildir import MaildirTarget

ROOT = Path(__file__).parents[2]
CHILD = [sys.executable, "-m", "tests.delivery.child"]
STRACE = shutil.which("strace")
ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
FULL = b"Return-Path: <sender@example.net>\r\nSubject: x\r\n\r\nHello\r\n"


def run_child(*arguments, tracer=()):
    command = [*tracer, *CHILD, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, check=False)


def record(monkeypatch, base):
    """Record the calls of `os` as (call, path below base)."""
    events = []

    def note(what, path):
        if Path(path).is_relative_to(base):
            events.append((what, Path(path).relative_to(base).as_posix()))

    def wrap(name, path_of):
        real = getattr(os, name)

        def call(first, *args, **kwargs):
            path = path_of(first)
            result = real(first, *args, **kwargs)
            note(name, path)
            return result

        monkeypatch.setattr(os, name, call)

    wrap("mkdir", str)
    wrap("rename", str)
    wrap("fsync", lambda descriptor: Path(f"/proc/self/fd/{descriptor}").readlink())
    return events


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc/self/fd")
def test_every_step_is_fsynced_in_order(tmp_path, monkeypatch):
    names = iter("1234")
    monkeypatch.setattr("gatepost.disk.names.UniqueNames.next", lambda self: next(names))
    events = record(monkeypatch, tmp_path)
    target = MaildirTarget("{local}", base=tmp_path, hostname="mx.example.com")
    what = delivery(recipient("a@x.example"), recipient("b@x.example"))
    asyncio.run(target.deliver(what))

    def made(folder):
        below = [(f"{folder}/{name}", folder) for name in ("tmp", "new", "cur")]
        return [
            step
            for path, parent in [(folder, "."), *below]
            for step in (("mkdir", path), ("fsync", parent))
        ]

    phase_one = [*made("a"), ("fsync", "a/tmp/1"), *made("b"), ("fsync", "b/tmp/2")]
    phase_two = [
        ("rename", "a/tmp/1"),
        ("rename", "b/tmp/2"),
        ("fsync", "a/new"),
        ("fsync", "b/new"),
    ]
    assert events == [*phase_one, *phase_two]

    events.clear()
    asyncio.run(target.deliver(delivery(recipient("a@x.example"), of=message())))
    assert events == [("fsync", "a/tmp/3"), ("rename", "a/tmp/3"), ("fsync", "a/new")]


STEP = re.compile(
    r'\d+ +(?:(?P<rename>rename)\w*\(.*?"(?P<source>[^"]+)", .*?"[^"]+".*\) = 0'
    r"|(?P<fsync>fsync)\(\d+<(?P<path>[^>]+)>\) += 0"
    r'|(?P<reply>write)\(1<[^>]*>, "250 delivered\\n".*)'
)


def traced_steps(trace, mail):
    """Return the renames and fsyncs inside a Maildir below `mail`, and the reply, in order."""
    for match in filter(None, map(STEP.match, trace.splitlines())):
        path = Path(match["source"] or match["path"] or "")
        if match["reply"]:
            yield "reply 250"
        elif path.is_relative_to(mail) and len(path.relative_to(mail).parts) > 1:
            folder = "/".join(path.relative_to(mail).parts[:2])
            yield f"{match['rename'] or match['fsync']} {folder}"


@pytest.mark.skipif(STRACE is None, reason="strace is not installed")
def test_strace_shows_the_fsyncs_before_the_reply(tmp_path):
    log = tmp_path / "trace"
    calls = "trace=fsync,rename,renameat,renameat2,write"
    probe = subprocess.run([STRACE, "-o", "/dev/null", "true"], capture_output=True, check=False)
    if probe.returncode:
        pytest.skip("strace may not trace here")
    for folder in ("a/tmp", "a/new", "a/cur", "b/tmp", "b/new", "b/cur"):
        (tmp_path / "mail" / folder).mkdir(parents=True)
    tracer = [STRACE, "-f", "-y", "-s", "300", "-e", calls, "-o", str(log)]
    done = run_child(tmp_path, tracer=tracer)
    assert done.stdout == b"250 delivered\n", done.stderr
    assert list(traced_steps(log.read_text(), tmp_path / "mail")) == [
        "fsync a/tmp",
        "fsync b/tmp",
        "rename a/tmp",
        "rename b/tmp",
        "fsync a/new",
        "fsync b/new",
        "reply 250",
    ]


def left(base):
    """Return what a kill leaves: (folder, subfolder, complete) for every file."""
    found = sorted(path for path in base.rglob("*") if path.is_file())
    return [(*path.relative_to(base).parts[1:3], path.read_bytes() == FULL) for path in found]


@pytest.mark.parametrize(
    ("call", "nth", "remains"),
    [
        ("rename", 1, [("a", "tmp", True), ("b", "tmp", True)]),
        ("rename", 2, [("a", "new", True), ("b", "tmp", True)]),
        ("fsync", 1, []),
    ],
)
def test_a_killed_process_leaves_no_partial_message(tmp_path, call, nth, remains):
    done = run_child(tmp_path, call, nth)
    assert (done.returncode, done.stdout) == (-9, b""), done.stderr
    assert left(tmp_path) == remains


def test_without_a_kill_the_message_is_delivered(tmp_path):
    done = run_child(tmp_path)
    assert (done.returncode, done.stdout) == (0, b"250 delivered\n"), done.stderr
    assert left(tmp_path) == [("a", "new", True), ("b", "new", True)]
