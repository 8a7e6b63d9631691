"""Run a real LDAP server (OpenLDAP's slapd) with mailboxes of a test.

    with slapd.running(folder, ["ann@example.com"]) as url:
        ...  # entries below slapd.BASE, each with the attribute mail; read by anyone

It uses the format `ldif`, so no database is created.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools import daemon, peers
from tools.daemon import HOST, free_port

NAME = "slapd"
BASE = "dc=example,dc=com"
CONFIG = """\
include {root}/etc/ldap/schema/core.schema
include {root}/etc/ldap/schema/cosine.schema
include {root}/etc/ldap/schema/inetorgperson.schema
modulepath {root}/usr/lib/ldap
moduleload back_ldif
pidfile {folder}/slapd.pid
database ldif
suffix "{base}"
directory {folder}/entries
"""
ROOT_ENTRY = f"dn: {BASE}\nobjectClass: domain\ndc: example\n"
ENTRY = """
dn: cn={number},{base}
objectClass: inetOrgPerson
cn: {number}
sn: {number}
mail: {mail}
"""


def why_not() -> str:
    """Return why slapd cannot run here, or ""."""
    return peers.missing([NAME]).get(NAME, "")


@contextlib.contextmanager
def running(folder: Path, mailboxes: Sequence[str]) -> Iterator[str]:
    """Run slapd with its files in a folder; yield its URL, and kill it on exit.

    Raise `peers.UnavailableError` if it is not available, `RuntimeError` if it does not start.
    """
    command = peers.find(NAME)
    if command is None:
        raise peers.UnavailableError(why_not())
    (folder / "entries").mkdir()
    config = folder / "slapd.conf"
    config.write_text(CONFIG.format(root=peers.ROOT / NAME, folder=folder, base=BASE))
    _load(command, folder, config, mailboxes)
    port = free_port()
    log = folder / "slapd.log"
    argv = command.argv("-d", "0", "-f", config, "-h", f"ldap://{HOST}:{port}")
    with daemon.running(argv, command.env, log, lambda: daemon.accepts(port)):
        yield f"ldap://{HOST}:{port}"


def _load(command: peers.Command, folder: Path, config: Path, mailboxes: Sequence[str]) -> None:
    """Write the entries; raise `RuntimeError` if slapd refuses them."""
    entries = [
        ENTRY.format(number=number, base=BASE, mail=mail) for number, mail in enumerate(mailboxes)
    ]
    (folder / "entries.ldif").write_text(ROOT_ENTRY + "".join(entries))
    done = subprocess.run(
        command.argv("-T", "add", "-f", config, "-l", folder / "entries.ldif"),
        env=command.env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"slapd refuses the entries:\n{done.stderr}")
