"""Run a real resolver (Unbound) in front of name servers of a test.

    with unbound.running(folder, {"example": nsd_port}) as port:
        ...  # DNS on 127.0.0.1, UDP and TCP

`stubs` are ports on 127.0.0.1 by zone. `anchors` are DS or DNSKEY records of signed zones. It uses
no network: names outside of the zones are SERVFAIL or the defaults of Unbound.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tools import daemon, peers
from tools.daemon import HOST, free_port

NAME = "unbound"
CONFIG = """\
server:
  interface: {host}@{port}
  port: {port}
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  do-daemonize: no
  do-ip6: no
  num-threads: 1
  do-not-query-localhost: no
  unblock-lan-zones: yes
  insecure-lan-zones: yes
  module-config: "validator iterator"
  trust-anchor-signaling: no
  root-key-sentinel: no
  val-log-level: 2
remote-control:
  control-enable: no
"""
ANCHOR = """\
server:
  trust-anchor: '{anchor}'
"""
STUB = """\
stub-zone:
  name: {name}
  stub-addr: {host}@{port}
"""
# Nothing answers there: names outside of the zones must not leave this machine.
ROOT = """\
forward-zone:
  name: .
  forward-addr: {host}@1
"""


def why_not() -> str:
    """Return why Unbound cannot run here, or ""."""
    return peers.missing([NAME]).get(NAME, "")


@contextlib.contextmanager
def running(folder: Path, stubs: Mapping[str, int], anchors: Sequence[str] = ()) -> Iterator[int]:
    """Run Unbound with its files in a folder; yield the port.

    Raise `peers.UnavailableError` if it is not available, `RuntimeError` if it does not start.
    """
    command = peers.find(NAME)
    if command is None:
        raise peers.UnavailableError(why_not())
    port = free_port()
    text = CONFIG.format(host=HOST, port=port, folder=folder)
    text += "".join(ANCHOR.format(anchor=one) for one in anchors)
    text += "".join(STUB.format(name=one, host=HOST, port=at) for one, at in stubs.items())
    text += ROOT.format(host=HOST)
    config = folder / "unbound.conf"
    config.write_text(text)
    argv = command.argv("-d", "-p", "-c", config)
    log = folder / "unbound.log"
    with daemon.running(argv, command.env, log, lambda: daemon.accepts(port)):
        yield port
