"""The programs of docs/embedding.md run."""

import asyncio
import re
import smtplib
import subprocess
import sys
from pathlib import Path

import pytest
import uvloop

PAGE = Path(__file__).resolve().parents[2] / "docs" / "embedding.md"
FILE = re.compile(r"^```python\n# (\w+\.py)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def files():
    return dict(FILE.findall(PAGE.read_text("utf-8")))


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_program_prints_received_messages(files, loop, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "receive"}
    exec(compile(files["receive.py"], "receive.py", "exec"), namespace)

    def send(address):
        host, _, port = address.rpartition(":")
        client = smtplib.SMTP(host, int(port))
        client.sendmail("me@example.com", ["you@example.com"], "text")
        client.close()  # the program ends after the first message, without QUIT

    async def program():
        sending = []

        def started(addresses):
            [(protocol, address)] = addresses
            assert protocol == "smtp"
            sending.append(asyncio.create_task(asyncio.to_thread(send, address)))

        await namespace["main"](started)
        await asyncio.gather(*sending)

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(asyncio.wait_for(program(), 60))
    assert re.search(r"^\d+ octets from <me@example\.com>$", capsys.readouterr().out, re.MULTILINE)


def test_the_tests_pass_in_a_separate_project(files, tmp_path):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^3 passed", done.stdout, re.MULTILINE)
