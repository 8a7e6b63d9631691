"""Run a real clamd with signatures of the test: EICAR's test file and nothing else.

    with clamd.running(folder) as socket:
        ...  # INSTREAM on this Unix socket

It uses no network: no signatures are downloaded.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

from tools import daemon, peers
from tools.daemon import HOST

NAME = "clamd"
# Split, so that this file is no find of a scanner.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + rb"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
SIGNATURE = "Test.Eicar"
LARGEST = 1024 * 1024  # StreamMaxLength
CONFIG = """\
DatabaseDirectory {folder}/signatures
OfficialDatabaseOnly no
LocalSocket {folder}/clamd.sock
TemporaryDirectory {folder}
Foreground yes
StreamMaxLength {largest}
"""
TCP = """\
TCPAddr {host}
TCPSocket {port}
"""


def why_not() -> str:
    """Return why clamd cannot run here, or ""."""
    return peers.missing([NAME]).get(NAME, "")


@contextlib.contextmanager
def running(folder: Path, port: int = 0) -> Iterator[Path]:
    """Run clamd with its files in a folder; yield its socket, and kill it on exit.

    With a port it also listens there, on the loopback address.
    Raise `peers.UnavailableError` if it is not available, `RuntimeError` if it does not start.
    """
    command = peers.find(NAME)
    if command is None:
        raise peers.UnavailableError(why_not())
    (folder / "signatures").mkdir()
    (folder / "signatures/test.ndb").write_text(f"{SIGNATURE}:0:*:{EICAR.hex()}\n")
    config = folder / "clamd.conf"
    tcp = TCP.format(host=HOST, port=port) if port else ""
    config.write_text(CONFIG.format(folder=folder, largest=LARGEST) + tcp)
    log = folder / "clamd.log"
    argv = command.argv("-c", config)
    with daemon.running(argv, command.env, log, lambda: _answers(folder / "clamd.sock")):
        yield folder / "clamd.sock"


def _answers(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(str(path))
        client.sendall(b"zPING\0")
        return client.recv(5) == b"PONG\0"
    return False
