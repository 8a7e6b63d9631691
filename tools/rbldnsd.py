r"""Run a real server for DNS lists (rbldnsd).

    with rbldnsd.running(folder, {"bl.example": ("ip4set", "192.0.2.7\n")}) as port:
        ...  # DNS on 127.0.0.1, UDP only

Zones are a type of data and its text, see rbldnsd(8): "ip4set", "ip6trie", "dnset".
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools import daemon, peers
from tools.daemon import HOST, free_port

NAME = "rbldnsd"
# A question: the header, and the A record of the root.
PROBE = b"\x12\x34\x00\x00\x00\x01" + bytes(6) + b"\x00\x00\x01\x00\x01"


def why_not() -> str:
    """Return why rbldnsd cannot run here, or ""."""
    return peers.missing([NAME]).get(NAME, "")


@contextlib.contextmanager
def running(folder: Path, zones: Mapping[str, tuple[str, str]]) -> Iterator[int]:
    """Run rbldnsd with its files in a folder; yield the port.

    Raise `peers.UnavailableError` if it is not available, `RuntimeError` if it does not start.
    """
    command = peers.find(NAME)
    if command is None:
        raise peers.UnavailableError(why_not())
    port = free_port()
    arguments = []
    for name, (kind, text) in zones.items():
        (folder / f"{name}.zone").write_text(text)
        arguments.append(f"{name}:{kind}:{name}.zone")
    argv = command.argv("-n", *_place(folder), "-b", f"{HOST}/{port}", *arguments)
    with daemon.running(argv, command.env, folder / "rbldnsd.log", lambda: _answers(port)):
        yield port


def _place(folder: Path) -> list[str | Path]:
    """Return the options for its folder; root must give up its rights and needs a folder for it."""
    if os.geteuid() != 0:
        return ["-w", folder]
    folder.chmod(0o755)
    return ["-r", folder, "-w", "/", "-u", "nobody"]


def _answers(port: int) -> bool:
    """Return whether it answers; outside of its zones it refuses the question."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.connect((HOST, port))
        client.send(PROBE)
        return client.recv(512).startswith(PROBE[:2])
    return False
