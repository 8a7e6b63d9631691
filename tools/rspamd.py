"""Run a real rspamd: one normal worker on the loopback address, without DNS, Redis and rules.

    with rspamd.running(folder, RULES) as server:
        ...  # the check protocol at server.url

`rules` is Lua that registers symbols. Besides them, only GTUBE patterns have an effect, and the
module `milter_headers`, which adds X-Spamd-Result to mail with an action. rspamd drops no rights,
so it may run as root in a test, and is killed with all its processes on exit.
"""

from __future__ import annotations

import contextlib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools import daemon, peers
from tools.daemon import HOST, free_port

NAME = "rspamd"
SHARE = peers.ROOT / NAME / "usr/share/rspamd"
# The files of an rspamd, in the section `options` of its configuration. It has a list of top-level
# domains of its own: the compilation of the real one takes a minute.
FILES = """\
  pidfile = "{folder}/rspamd.pid";
  tempdir = "{folder}";
  url_tld = "{folder}/tld";
  cache_file = "{folder}/cache";
  hs_cache_dir = "{folder}";
  control_socket = "{folder}/rspamd.sock mode=0600";
"""
CONFIG = (
    """\
lua = "{folder}/rules.lua";
options {{
  filters = "";
"""
    + FILES
    + """\
  explicit_modules = [{names}];
  dns {{ nameserver = ["{host}:1"]; }}
}}
logging {{ type = "console"; level = "warning"; }}
actions {{ reject = 15; add_header = 6; greylist = 4; }}
modules {{ {paths} }}
{extra}
milter_headers {{ use = ["x-spamd-result"]; }}
worker "normal" {{ bind_socket = "{host}:{port}"; count = 1; mime = true; }}
"""
)


class Rspamd(NamedTuple):
    """The URL of its check protocol, and the file with its output."""

    url: str
    log: Path


def why_not() -> str:
    """Return why rspamd cannot run here, or ""."""
    return peers.missing([NAME]).get(NAME, "")


@contextlib.contextmanager
def running(
    folder: Path, rules: str = "", *, extra: str = "", modules: tuple[str, ...] = ()
) -> Iterator[Rspamd]:
    """Run rspamd with its files in a folder, and kill it on exit.

    `modules` are more modules to load, `extra` has their configuration. Raise
    `peers.UnavailableError` if it is not available, `RuntimeError` if it does not start.
    """
    command = peers.find(NAME)
    if command is None:
        raise peers.UnavailableError(why_not())
    port = free_port()
    names = ("milter_headers", *modules)
    config = CONFIG.format(
        folder=folder,
        host=HOST,
        port=port,
        names=", ".join(f'"{name}"' for name in names),
        paths=" ".join(f'path = "{SHARE}/plugins/{name}.lua";' for name in names),
        extra=extra,
    )
    (folder / "rspamd.conf").write_text(config)
    (folder / "rules.lua").write_text(rules)
    (folder / "tld").write_text("com\nexample\n")
    log = folder / "rspamd.log"
    argv = command.argv("-i", "-f", "-c", folder / "rspamd.conf", *variables(folder))
    with daemon.running(argv, command.env, log, lambda: _answers(port)):
        yield Rspamd(f"http://{HOST}:{port}/checkv2", log)


def variables(folder: Path) -> list[str]:
    """Return the options for an rspamd that is unpacked, with its own files in a folder."""
    paths = {
        "LUALIBDIR": SHARE / "lualib",
        "RULESDIR": SHARE / "rules",
        "PLUGINSDIR": SHARE / "plugins",
        "SHAREDIR": SHARE,
        "RUNDIR": folder,
        "DBDIR": folder,
        "LOCAL_CONFDIR": folder,
        "CONFDIR": folder,
    }
    return [f"--var={name}={path}" for name, path in paths.items()]


def _answers(port: int) -> bool:
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"http://{HOST}:{port}/ping", timeout=10) as answer,
    ):
        return bool(answer.status == 200)
    return False
