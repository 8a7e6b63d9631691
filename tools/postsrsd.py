"""Run a real server for SRS (PostSRSd 1), and ask it as Postfix does.

    with postsrsd.running(folder, domain="srs.example.com", secret="x") as asked:
        asked.forward("alice@example.org")  # "SRS0=…@srs.example.com"

The protocol is that of tcp_table(5): `get KEY`, answered with `200 VALUE` or `500 REASON`.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools import daemon, peers
from tools.daemon import HOST, free_port

NAME = "postsrsd"


class PostSrsd(NamedTuple):
    """A server that runs, by the ports of its two tables."""

    forward_port: int
    reverse_port: int

    def forward(self, address: str) -> str:
        """Return the sender to forward with, "" if the address stays as it is."""
        return _get(self.forward_port, address)

    def reverse(self, address: str) -> str:
        """Return the original sender, "" if the address is not valid."""
        return _get(self.reverse_port, address)


def why_not() -> str:
    """Return why PostSRSd cannot run here, or ""."""
    return peers.missing([NAME]).get(NAME, "")


@contextlib.contextmanager
def running(folder: Path, *, domain: str, secret: str) -> Iterator[PostSrsd]:
    """Run PostSRSd with a secret in a folder; yield it.

    Raise `peers.UnavailableError` if it is not available, `RuntimeError` if it does not start.
    """
    command = peers.find(NAME)
    if command is None:
        raise peers.UnavailableError(why_not())
    secrets = folder / "postsrsd.secret"
    secrets.write_text(f"{secret}\n")
    ports = PostSrsd(free_port(), free_port())
    argv = command.argv(
        *("-4", "-l", HOST, "-d", domain, "-s", secrets),
        *("-f", str(ports.forward_port), "-r", str(ports.reverse_port)),
    )
    with daemon.running(argv, command.env, folder / "postsrsd.log", lambda: _is_ready(ports)):
        yield ports


def _is_ready(ports: PostSrsd) -> bool:
    return daemon.accepts(ports.forward_port) and daemon.accepts(ports.reverse_port)


def _get(port: int, key: str) -> str:
    with socket.create_connection((HOST, port), timeout=10) as client:
        client.sendall(f"get {key}\n".encode())
        code, _, value = client.makefile().readline().strip().partition(" ")
    return value if code == "200" else ""
