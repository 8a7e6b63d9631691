"""A dashboard as a process of its own, and users who are logged in."""

from __future__ import annotations

import http.client
import pickle
import re
import socket
import subprocess
import sys
import time
import urllib.parse
from typing import TYPE_CHECKING, Self

from gatepost.config.load import config_from_dict
from gatepost.ledger.link import socket_pair
from gatepost.net.unnamed import unnamed
from gatepost.process.web_process import WebArguments
from gatepost.web.access.api_tokens import ApiToken, TokensFile, hash_of, new_token
from gatepost.web.access.users import UsersFile, WebUser, with_password

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PASSWORD = "a long password"
LIFETIME = 86400.0
TIMEOUT = 60
TABLES = {"web": {"listen": "127.0.0.1:0"}}


class Client:
    """A user's browser, and a program with a token of the user."""

    def __init__(self, port: int, name: str, token: str) -> None:
        self._port = port
        self._headers = {"Authorization": f"Bearer {token}"}
        body = urllib.parse.urlencode({"name": name, "password": PASSWORD})
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        found = re.match("[^;]+", self._send("POST", "/login", body, form))
        self._headers["Cookie"] = found[0] if found else ""

    def _send(
        self,
        method: str,
        path: str,
        body: str,
        headers: Mapping[str, str],
        expected: Sequence[int] = (200, 303),
    ) -> str:
        """Return the cookie of the answer, "" without one."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=TIMEOUT)
        connection.request(method, path, body or None, dict(headers))
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status not in expected:
            sys.exit(f"bench.dashboard: {path}: status {answer.status}: {text[:300]!r}")
        return answer.headers.get("Set-Cookie", "")

    def seconds(self, path: str) -> float:
        """Return how long a request takes."""
        began = time.perf_counter()
        self._send("GET", path, "", self._headers, (200,))
        return time.perf_counter() - began

    def prepare(self, path: str) -> None:
        """Ask for a page that may still take too long: after the start the counts are read."""
        self._send("GET", path, "", self._headers, (200, 503))


class Dashboard:
    """A running dashboard of the server in a folder, with its data in `var`."""

    def __init__(self, folder: Path) -> None:
        self._config = config_from_dict(TABLES, folder)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._ledger, self._sender = socket_pair()

    def __enter__(self) -> Self:
        inherited = [self._socket.fileno(), self._sender.fileno()]
        with unnamed() as given:
            pickle.dump(WebArguments(self._config, {}, inherited[1]), given)
            given.seek(0)
            command = [sys.executable, "-P", "-m", "gatepost.web.main", str(inherited[0])]
            self._process = subprocess.Popen(
                command, stdin=given, stderr=subprocess.DEVNULL, pass_fds=inherited
            )
        self.pid = self._process.pid
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.wait()
        for one in (self._socket, self._ledger, self._sender):
            one.close()

    def client(self, name: str, domains: Sequence[str]) -> Client:
        """Add a user with domains and a token, and log in."""
        data = self._config.data_dir
        UsersFile(data).put(with_password(WebUser(name, "viewer", domains), PASSWORD))
        token = new_token()
        end = time.time() + LIFETIME
        TokensFile(data).put(ApiToken(name, hash_of(token), end, domains=domains))
        return Client(self._socket.getsockname()[1], name, token)
