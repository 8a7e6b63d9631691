"""A dashboard as a process of its own, and clients of it."""

import pickle
import re
import signal
import socket
import ssl
import subprocess
import sys
import urllib.parse
from contextlib import suppress
from http.client import HTTPConnection, HTTPMessage, HTTPSConnection
from typing import NamedTuple

from tests.process.supervised import eventually

from gatepost.config.load import config_from_dict
from gatepost.ledger.link import PACKET, decode_batch, socket_pair
from gatepost.ledger.records import decode, encode
from gatepost.ledger.store import LedgerWriter
from gatepost.net.unnamed import unnamed
from gatepost.process.web_process import WebArguments
from gatepost.web.access.api_tokens import TokensFile
from gatepost.web.access.users import UsersFile, WebUser, with_password

PASSWORD = "a long password"
KEEP = 3650 * 86400.0
TIMEOUT = 60
# Seconds for all pages of an act in Chromium, on a machine that does other work.
BROWSER_TIMEOUT = 500
# A page has it where a line may end inside of a word.
BREAK = "<wbr>"
LOOPBACK = ("127.0.0.1", 0)
NO_CHECK = ssl._create_unverified_context()
VIEWS = (
    "/find",
    "/now",
    "/outcomes",
    "/reasons",
    "/traps",
    "/review",
    "/wrong",
    "/authentication",
    "/queue",
    "/quarantine",
    "/allowed",
    "/dossier",
    "/health",
)


class Answer(NamedTuple):
    status: int
    headers: HTTPMessage
    text: str

    @property
    def token(self):
        """The token of the forms of a page."""
        return re.search(r'name="token" value="(\w+)"', self.text)[1]


class Browser:
    """Sends requests, with the cookie that it got; follows no redirect."""

    def __init__(self, connect, cookie=""):
        self._connect = connect
        self.cookie = cookie

    def connection(self):
        """Return a connection for a request of its own."""
        return self._connect()

    def send(self, method, path, form=None, body=None, **headers):
        connection = self._connect()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookie:
            fields["Cookie"] = self.cookie
        if form is not None:
            body = urllib.parse.urlencode(form)
            fields.setdefault("Content-Type", "application/x-www-form-urlencoded")
        try:
            connection.request(method, path, body, fields)
            response = connection.getresponse()
            text = response.read().decode().replace(BREAK, "")
            answer = Answer(response.status, response.headers, text)
        finally:
            connection.close()
        found = answer.headers.get("Set-Cookie")
        if found is not None:
            self.cookie = found.partition(";")[0]
        return answer

    def get(self, path, **headers):
        return self.send("GET", path, **headers)

    def post(self, path, form, **headers):
        return self.send("POST", path, form, **headers)


def write_records(folder, *records, is_ordered=False):
    """Write a ledger as its process does, in the order of the times unless it `is_ordered`."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = LedgerWriter(folder / "ledger", KEEP, 1 << 30)
    ordered = records if is_ordered else sorted(records, key=lambda one: one.time)
    writer.add([encode(record) for record in ordered])
    writer.commit()
    writer.tend()
    writer.close()


class UnixConnection(HTTPConnection):
    """A connection to a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._path)


def listening(path):
    """Return a Unix socket that listens."""
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock


class Dashboard:
    """A running dashboard. `web` are keys of [web], `more` other tables."""

    def __init__(self, folder, more=None, **web):
        self.folder = folder / "var"
        tables = {"web": {"listen": "127.0.0.1:0", **web}, **(more or {})}
        self.config = config_from_dict(tables, folder)
        self.users = UsersFile(self.config.data_dir)
        self.tokens = TokensFile(self.config.data_dir)
        path = web.get("listen", "").removeprefix("unix:")
        self._socket = listening(folder / path) if path else socket.create_server(LOOPBACK)
        self._tls = bool(web.get("tls"))
        self._ledger, self._sender = socket_pair()
        self.address = self._socket.getsockname()
        self._browsers = 0
        self._log = folder / "dashboard.log"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_error):
        self.stop(signal.SIGKILL)
        for one in (self._socket, self._ledger, self._sender):
            one.close()

    def start(self):
        arguments = WebArguments(self.config, {}, self._sender.fileno())
        with self._log.open("ab") as log, unnamed() as given:
            pickle.dump(arguments, given)
            given.seek(0)
            inherited = [self._socket.fileno(), self._sender.fileno()]
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "gatepost.web.main", str(inherited[0])],
                stdin=given,
                stderr=log,
                pass_fds=inherited,
            )

    def stop(self, number=signal.SIGTERM):
        self._process.send_signal(number)
        return self._process.wait(TIMEOUT)

    def wait(self):
        """Wait for the end of the process; return its exit status."""
        return self._process.wait(TIMEOUT)

    def log(self):
        return self._log.read_text()

    def browser(self):
        """Return a browser with an address of its own, as failed logins are counted by address."""
        self._browsers += 1
        source = (f"127.0.{self._browsers // 250}.{2 + self._browsers % 250}", 0)
        if isinstance(self.address, str):
            return Browser(lambda: UnixConnection(self.address))
        if self._tls:
            return Browser(lambda: HTTPSConnection(*self.address, context=NO_CHECK))
        return Browser(
            lambda: HTTPConnection(*self.address, timeout=TIMEOUT, source_address=source)
        )

    def add(self, name, role="viewer", domains=(), password=PASSWORD):
        user = WebUser(name, role, list(domains))
        self.users.put(with_password(user, password) if password else user)

    def logged_in(self, name="admin", **user):
        """Return the browser of a user, who is added first."""
        self.add(name, **user)
        browser = self.browser()
        answer = browser.post("/login", {"name": name, "password": PASSWORD})
        assert answer.status == 303, answer
        return browser

    def events(self, count):
        """Return the first events that the dashboard has sent to the ledger."""
        self._ledger.settimeout(TIMEOUT)
        batches = [decode_batch(self._ledger.recv(PACKET)) for _ in range(count)]
        return [decode(one) for batch in batches for one in batch.records]

    def drop_events(self):
        """Drop the events that the dashboard has sent so far."""
        self._ledger.settimeout(0)
        with suppress(BlockingIOError):
            while True:
                self._ledger.recv(PACKET)

    def first_link(self):
        """Return the path and query of the link for the first user."""
        found = eventually(
            lambda: re.search(r"gatepost: dashboard \S+?(/first\?\S+)\n", self.log())
        )
        return found[1]
