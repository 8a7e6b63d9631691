"""A virtual environment with Gatepost, as on a machine without a compiler."""

import json
import os
import signal
import smtplib
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.cli.processes import READY

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
MESSAGE = "Subject: x\n\nhello\n"
CONFIG = """\
[[listen]]
address = "127.0.0.1:0"

[recipients]
domains = ["example.com"]

[[route]]
for = ["*"]
to = "maildir:mail"
"""


def without_compiler(**others):
    """Return the environment variables of a machine that has no programs, and no CC."""
    kept = {name: value for name, value in os.environ.items() if name not in {"CC", "PYTHONPATH"}}
    return kept | {"PATH": "/nonexistent"} | others


def _until_ready(lines):
    for line in lines:
        yield line
        if READY.fullmatch(line):
            return


class Installed:
    """An environment in a folder, made by this class unless it exists."""

    def __init__(self, folder, *, create=True):
        self.folder = folder
        self.python = folder / "bin/python"
        self.packages = Path(
            sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
        )
        if create:
            venv.create(folder)

    def install(self, wheel):
        """Install a wheel, then add the other packages of the tests.

        Their Gatepost is not among them: a folder in a .pth file has no .pth files of its own.
        """
        command = (*PIP, "--python", str(self.python), "install", "-q", "--no-deps", str(wheel))
        subprocess.run(command, check=True)
        (self.packages / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")

    def run(self, *arguments):
        """Run a command of Gatepost and return its output."""
        return subprocess.run(
            (self.folder / "bin/gatepost", *arguments),
            env=without_compiler(),
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def receive(self):
        """Serve, send a message; return the build in the log, and the messages in the Maildir."""
        (self.folder / "gatepost.toml").write_text(CONFIG)
        with subprocess.Popen(
            (self.folder / "bin/gatepost", "serve"),
            env=without_compiler(),
            cwd=self.folder,
            stderr=subprocess.PIPE,
            text=True,
        ) as server:
            try:
                lines = list(_until_ready(server.stderr))
                host, port = READY.fullmatch(lines[-1]).groups()
                with smtplib.SMTP(host, int(port), local_hostname="client.example") as client:
                    client.sendmail("me@client.example", ["alice@example.com"], MESSAGE)
                server.send_signal(signal.SIGTERM)
                lines += server.stderr
            finally:
                server.kill()
        events = [json.loads(line) for line in lines if line[0] == "{"]
        (started,) = (one for one in events if one["event"] == "started")
        return started["build"], [one.read_text() for one in (self.folder / "mail/new").iterdir()]
