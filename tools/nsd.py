"""Run a real name server (NSD) that serves the zones of a test.

    with nsd.running(folder, {"example": ZONE}) as port:
        ...  # DNS on 127.0.0.1, UDP and TCP

A zone without text is configured but cannot be loaded: NSD answers SERVFAIL for its names. Names
outside all zones are REFUSED.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools import peers
from tools.daemon import HOST, POLL, START_TIMEOUT, free_port

CONFIG = """\
server:
  ip-address: {host}@{port}
  server-count: 1
  username: ""
  database: ""
  zonesdir: "{folder}"
  pidfile: "{folder}/nsd.pid"
  xfrdfile: "{folder}/xfrd.state"
  xfrdir: "{folder}"
  zonelistfile: "{folder}/zone.list"
remote-control:
  control-enable: no
"""
ZONE = """\
zone:
  name: {name}
  zonefile: "{name}.zone"
"""


@contextlib.contextmanager
def running(folder: Path, zones: Mapping[str, str | None]) -> Iterator[int]:
    """Run NSD with its files in a folder; yield the port.

    Raise `peers.UnavailableError` if it is not available, `RuntimeError` if it does not start.
    """
    command = peers.find("nsd")
    if command is None:
        raise peers.UnavailableError(peers.missing(["nsd"])["nsd"])
    port = free_port()
    text = CONFIG.format(host=HOST, port=port, folder=folder)
    for name, zone in zones.items():
        text += ZONE.format(name=name)
        if zone is not None:
            (folder / f"{name}.zone").write_text(zone)
    (folder / "nsd.conf").write_text(text)
    log = folder / "nsd.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command.argv("-d", "-c", folder / "nsd.conf"),
            env=command.env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(server, log, port)
        yield port
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait(server: subprocess.Popen[bytes], log: Path, port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not _accepts(port):
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"NSD does not accept connections:\n{log.read_text()}")
        time.sleep(POLL)


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=10):
        return True
    return False
