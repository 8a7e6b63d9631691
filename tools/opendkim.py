"""Run a real OpenDKIM as a milter that signs all mail of local clients.

with opendkim.running(folder, "example.com", "s1", pem) as port:
    ...  # a milter on 127.0.0.1; in Postfix: smtpd_milters = inet:127.0.0.1:PORT
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tools import daemon, peers
from tools.daemon import HOST, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = """\
Mode s
Domain {domain}
Selector {selector}
KeyFile {folder}/private.pem
RequireSafeKeys no
Canonicalization relaxed/simple
OversignHeaders From
InternalHosts {host}
Socket inet:{port}@{host}
Background no
Syslog no
"""


@contextlib.contextmanager
def running(folder: Path, domain: str, selector: str, key: str) -> Iterator[int]:
    """Run OpenDKIM with its files in a folder; yield the port. `key` is PEM.

    Raise `peers.UnavailableError` if it is not available, `RuntimeError` if it does not start.
    """
    command = peers.find("opendkim")
    if command is None:
        raise peers.UnavailableError(peers.missing(["opendkim"])["opendkim"])
    port = free_port()
    (folder / "private.pem").write_text(key)
    (folder / "opendkim.conf").write_text(
        CONFIG.format(domain=domain, selector=selector, folder=folder, host=HOST, port=port)
    )
    argv = command.argv("-f", "-x", folder / "opendkim.conf")
    with daemon.running(argv, command.env, folder / "log", lambda: daemon.accepts(port)):
        yield port
