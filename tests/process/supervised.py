"""`gatepost serve` with a supervisor and workers, as real processes."""

import contextlib
import json
import os
import re
import signal
import smtplib
import socket
import subprocess
import sys
import threading
from pathlib import Path

from tests.waiting import PATIENCE, eventually

READY = re.compile(r"^gatepost: ready (.*)$", re.MULTILINE)
CONFIG = """\
[server]
hostname = "{hostname}"
{server}

[[listen]]
address = "{address}"

[recipients]
domains = ["example.com"]

[[route]]
for = ["*"]
to = "maildir:mail/{{domain}}/{{local}}"
{extra}
"""
PLUGIN = "from gatepost import Plugin\n\n\nclass Mine(Plugin):\n    pass\n"
USES_PLUGIN = '\n[[plugin]]\nuse = "mine.py"\n'


def parent(pid):
    """Return a process's parent; None if it has exited or is a zombie."""
    try:
        state, ppid = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(ppid)


def name_of(pid):
    """Return the name of a process, empty if it has exited."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def uids(pid):
    """Return real, effective, saved and file system user of a process."""
    return re.search(r"^Uid:\t(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)[
        1
    ].split()


class Supervised:
    """A server. `configure` changes its settings while it runs."""

    def __init__(self, folder, **settings):
        self.folder = folder
        self.command = [sys.executable, "-m", "gatepost", "serve"]
        self.descriptors = ()
        self._settings = {"hostname": "mx.example.com", "server": "workers = 2", "extra": ""}
        self._settings["address"] = "127.0.0.1:0"
        self._environment = {**os.environ, **settings.pop("environment", {})}
        self.configure(**settings)

    def configure(self, **settings):
        self._settings |= settings
        (self.folder / "gatepost.toml").write_text(CONFIG.format(**self._settings))

    def __enter__(self):
        self._log_file = self.folder / "log"
        with self._log_file.open("wb") as log:
            self.popen = subprocess.Popen(
                self.command,
                pass_fds=self.descriptors,
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_error):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def log(self):
        return self._log_file.read_text()

    def ready(self):
        """Wait for the ready line; return the first port."""
        found = eventually(lambda: READY.search(self.log()) or self.popen.poll() is not None)
        assert isinstance(found, re.Match), self.log()
        return int(found[1].split()[0].rpartition(":")[2])

    def events(self, name):
        lines = self.log().splitlines(keepends=True)
        found = [json.loads(line) for line in lines if line.startswith("{") and line[-1] == "\n"]
        return [event for event in found if event["event"] == name]

    def await_events(self, name, count=1):
        """Wait for `count` events of this name; return all."""
        return eventually(lambda: self.events(name)[count - 1 :] and self.events(name))

    def workers(self):
        """Return the ids of the workers."""
        return self.children("gatepost-worker")

    def children(self, name):
        """Return the ids of the children of the supervisor with this name."""
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
        return {pid for pid in pids if parent(pid) == self.popen.pid and name_of(pid) == name}

    def modules(self):
        """Return the module that each worker was started with, "" for a fork."""
        lines = [Path(f"/proc/{pid}/cmdline").read_text().split("\0") for pid in self.workers()]
        names = [[word for word in line if word.startswith("gatepost.process")] for line in lines]
        return [name[0] if name else "" for name in names]

    def send_hangup(self):
        self.popen.send_signal(signal.SIGHUP)

    def reload(self, **settings):
        """Reload with other settings; wait for the event and return it."""
        count = len(self.events("reloaded")) + 1
        self.configure(**settings)
        self.send_hangup()
        return self.await_events("reloaded", count)[-1]

    def stop(self):
        """Return the exit status after SIGTERM."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(PATIENCE)

    def messages(self):
        return [path.read_bytes() for path in self.folder.glob("mail/*/*/new/*")]


def connect(port):
    return smtplib.SMTP("127.0.0.1", port, local_hostname="client.example", timeout=PATIENCE)


def send(client, name):
    message = f"Subject: {name}\r\n\r\ntext\r\n"
    client.sendmail("me@client.example", ["one@example.com"], message)


def greeting(port):
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        return client.makefile().readline().split()[1]


def subjects(server):
    """Return the subjects of all delivered messages, duplicates included."""
    return [
        re.search(rb"^Subject: (\S+)\r$", mail, re.MULTILINE)[1].decode()
        for mail in server.messages()
    ]


def refuses_connections(port):
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False


def in_transaction(port):
    client = connect(port)
    client.ehlo()
    client.mail("me@client.example")
    client.rcpt("one@example.com")
    return client


class Sender(threading.Thread):
    """Sends numbered messages, each on its own connection, until `finish` is set."""

    def __init__(self, port, name):
        super().__init__()
        self.port, self.sender, self.finish = port, name, threading.Event()
        self.accepted, self.errors = [], []

    def run(self):
        number = 0
        while not self.finish.is_set():
            number += 1
            name = f"{self.sender}-{number}"
            try:
                with connect(self.port) as client:
                    send(client, name)
                    self.accepted.append(name)
            except (OSError, smtplib.SMTPException) as error:
                self.errors.append(error)


@contextlib.contextmanager
def sending(port, count=3):
    """Let `count` clients send while the block runs."""
    senders = [Sender(port, name) for name in "abcdef"[:count]]
    for one in senders:
        one.start()
    try:
        yield senders
    finally:
        for one in senders:
            one.finish.set()
        for one in senders:
            one.join()
