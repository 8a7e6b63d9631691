"""Run a real rspamd: one normal worker on the loopback address, without DNS, Redis and rules.

    with rspamd.running(folder, RULES) as server:
        ...  # the check protocol at server.url

`rules` is Lua that registers symbols. Besides them, only GTUBE patterns have an effect, and the
module `milter_headers`, which adds X-Spamd-Result to mail with an action. rspamd drops no rights,
so it may run as root in a test, and is killed with all its processes on exit.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tools import peers
from tools.daemon import HOST, POLL, START_TIMEOUT, free_port

NAME = "rspamd"
# A list of top-level domains of its own: the compilation of the real one takes a minute.
CONFIG = """\
lua = "{folder}/rules.lua";
options {{
  filters = "";
  pidfile = "{folder}/rspamd.pid";
  tempdir = "{folder}";
  url_tld = "{folder}/tld";
  cache_file = "{folder}/cache";
  hs_cache_dir = "{folder}";
  control_socket = "{folder}/rspamd.sock mode=0600";
  explicit_modules = ["milter_headers"];
  dns {{ nameserver = ["{host}:1"]; }}
}}
logging {{ type = "console"; level = "warning"; }}
actions {{ reject = 15; add_header = 6; greylist = 4; }}
modules {{ path = "{share}/plugins/milter_headers.lua"; }}
milter_headers {{ use = ["x-spamd-result"]; }}
worker "normal" {{ bind_socket = "{host}:{port}"; count = 1; mime = true; }}
"""


class Rspamd(NamedTuple):
    """The URL of its check protocol, and the file with its output."""

    url: str
    log: Path


def why_not() -> str:
    """Return why rspamd cannot run here, or ""."""
    return peers.missing([NAME]).get(NAME, "")


@contextlib.contextmanager
def running(folder: Path, rules: str = "") -> Iterator[Rspamd]:
    """Run rspamd with its files in a folder, and kill it on exit.

    Raise `peers.UnavailableError` if it is not available, `RuntimeError` if it does not start.
    """
    command = peers.find(NAME)
    if command is None:
        raise peers.UnavailableError(why_not())
    share = peers.ROOT / NAME / "usr/share/rspamd"
    port = free_port()
    config = CONFIG.format(folder=folder, share=share, host=HOST, port=port)
    (folder / "rspamd.conf").write_text(config)
    (folder / "rules.lua").write_text(rules)
    (folder / "tld").write_text("com\nexample\n")
    paths = {
        "LUALIBDIR": share / "lualib",
        "RULESDIR": share / "rules",
        "PLUGINSDIR": share / "plugins",
        "SHAREDIR": share,
        "RUNDIR": folder,
        "DBDIR": folder,
    }
    variables = [f"--var={name}={path}" for name, path in paths.items()]
    log = folder / "rspamd.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            command.argv("-i", "-f", "-c", folder / "rspamd.conf", *variables),
            env=command.env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait(server, log, port)
        yield Rspamd(f"http://{HOST}:{port}/checkv2", log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait(server: subprocess.Popen[bytes], log: Path, port: int) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not _answers(port):
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"rspamd does not answer:\n{log.read_text(errors='replace')}")
        time.sleep(POLL)


def _answers(port: int) -> bool:
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"http://{HOST}:{port}/ping", timeout=10) as answer,
    ):
        return bool(answer.status == 200)
    return False
