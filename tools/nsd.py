"""Run a real name server (NSD) that serves the zones of a test.

    with nsd.running(folder, {"example": ZONE}) as port:
        ...  # DNS on 127.0.0.1, UDP and TCP

A zone without text is configured but cannot be loaded: NSD answers SERVFAIL for its names. Names
outside all zones are REFUSED. The limit of answers for one client is off.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools import daemon, peers
from tools.daemon import HOST, free_port

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
  rrl-ratelimit: 0
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
    argv = command.argv("-d", "-c", folder / "nsd.conf")
    with daemon.running(argv, command.env, log, lambda: daemon.accepts(port)):
        yield port
