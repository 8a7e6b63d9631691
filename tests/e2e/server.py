"""A server as administrators run it: a process, a folder, a configuration file."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.net import authority
from tests.waiting import PATIENCE, eventually

GATEPOST = Path(sys.executable).with_name("gatepost")
READY = re.compile(r"^gatepost: ready smtp=127\.0\.0\.1:(\d+)(?: .*)?$", re.MULTILINE)
LIMIT = 3 * 1024 * 1024  # message_size

# Every address of open.example exists: RCPT accepts a trap there, but not one in example.com.
USERS = ("alice", "bob", "carol", "dave")
TRAPS = ("trap@example.com leaked in 2019", "trap@open.example", "@spoilt.open.example")

CERTIFICATE = '{ cert = "cert.pem", key = "cert.key" }'
CONFIG = """\
[server]
hostname = "mx.example.com"

[[listen]]
address = "127.0.0.1:0"
{listen}
tls = "{tls}"

[smtp]
unauthorised_pipelining = "{pipelining}"

[limits]
message_size = {limit}
{limits}

[tls]
certificates = [{certificate}]

[recipients]
domains = ["example.com", "open.example", ".open.example"]
known = ["file:users"]

[traps]
lists = ["traps"]
delay = "{delay}"

[[route]]
for = ["*"]
to = "maildir:mail/{{domain}}/{{local}}"
{route}
"""
TRACE = re.compile(
    rb"Return-Path: <(?P<sender>[^\r\n]*)>\r\n"
    rb"Received: from [^\r\n]+\r\n"
    rb"(?:\t\((?P<tls>TLSv[0-9.]+ [A-Z0-9_-]+)\)\r\n)?"
    rb"\tby mx\.example\.com \(Gatepost\) with (?P<protocol>[A-Z0-9]+)"
    rb" id (?P<session>[^\r\n;.]+)\.(?P<number>\d+)"
    rb"(?:\r\n\tfor <[^\r\n]*>)?;\r\n"
    rb"\t[^\r\n]+\r\n"
)
IMPURE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")


class Mail:
    """A delivered file: the trace fields in front, then the content as it was sent."""

    def __init__(self, octets):
        trace = TRACE.match(octets)
        assert trace, octets[:500]
        self.tls = (trace["tls"] or b"").decode()
        self.protocol = trace["protocol"].decode()
        self.sender = trace["sender"].decode()
        self.session = trace["session"].decode()
        self.number = int(trace["number"])
        self.content = octets[trace.end() :]


class Server:
    """One server; `extra` is added to its configuration, `traps` are the lines of its list.

    `listen` is added to its listener, `limits` to its limits, `route` to its route. `tracer` is a
    command that runs it.
    """

    def __init__(
        self,
        folder,
        extra="",
        *,
        listen="",
        limits="",
        pipelining="refuse",
        traps=TRAPS,
        delay="0s",
        tls="none",
        certificate=CERTIFICATE,
        route="",
        tracer=(),
    ):
        self.folder = folder
        self.tls = tls
        self.tracer = tracer
        config = CONFIG.format(
            limit=LIMIT,
            limits=limits,
            pipelining=pipelining,
            delay=delay,
            listen=listen,
            tls=tls,
            certificate=certificate,
            route=route,
        )
        (folder / "gatepost.toml").write_text(config + extra)
        authority.write(folder, "localhost", "127.0.0.1")
        (folder / "users").write_text(
            "".join(f"{user}@example.com\n" for user in USERS)
            + "@open.example\n@spoilt.open.example\n"
        )
        (folder / "traps").write_text("".join(f"{trap}\n" for trap in traps))
        self._mailboxes = 0
        self.start()

    def start(self):
        log = self.folder / "log"
        with log.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*self.tracer, GATEPOST, "serve", "-c", self.folder / "gatepost.toml"],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                start_new_session=True,
            )
        try:
            ready = eventually(lambda: READY.search(log.read_text()) or self.has_ended())
            assert isinstance(ready, re.Match), f"did not start:\n{log.read_text()}"
        except AssertionError:
            self.kill()
            raise
        self.port = int(ready[1])

    def has_ended(self):
        return self.process.poll() is not None

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self):
        """Return the exit code."""
        return self.process.wait(PATIENCE)

    def stop(self):
        """End it with SIGTERM; its exit status must be 0."""
        self.terminate()
        assert self.wait() == 0, (self.folder / "log").read_text()

    def kill(self):
        """Kill it and its child processes."""
        if not self.has_ended():
            os.killpg(self.process.pid, signal.SIGKILL)
            self.wait()

    def address(self, name="box"):
        """Return an address that has received no mail."""
        self._mailboxes += 1
        return f"{self._mailboxes}{name}@open.example"

    def mails(self, address):
        """Return the mails of an address, in the order of arrival on one connection."""
        local, _, domain = address.partition("@")
        files = self.maildir(domain, local).glob("new/*")
        return sorted((Mail(file.read_bytes()) for file in files), key=lambda mail: mail.number)

    def maildir(self, domain, local):
        """Return the folder of a mailbox; octets other than ASCII letters and digits become %xx."""
        name = "".join(
            char
            if char.isalnum() and char.isascii()
            else "".join(f"%{c:02x}" for c in char.encode())
            for char in local
        )
        return self.folder / "mail" / domain / name

    def delivered(self):
        """Return the octets of every file in every mailbox, including unfinished ones."""
        return [file.read_bytes() for file in self.folder.glob("mail/*/*/[ntc]*/*")]
