"""Run a real Prometheus that scrapes one endpoint.

    with prometheus.running(folder, "127.0.0.1:9925", rules) as address:
        prometheus.query(address, "up")

`promtool` checks files: `peers.find("promtool")`.
"""

from __future__ import annotations

import contextlib
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools import daemon, peers
from tools.daemon import HOST, free_port

CONFIG = """\
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
rule_files: ["{rules}"]
scrape_configs:
  - job_name: gatepost
    static_configs:
      - targets: ["{target}"]
"""


@contextlib.contextmanager
def running(folder: Path, target: str, rules: Path) -> Iterator[str]:
    """Run Prometheus with its files in a folder; yield its address.

    Raise `peers.UnavailableError` if it is not available, `RuntimeError` if it does not start.
    """
    command = peers.find("prometheus")
    if command is None:
        raise peers.UnavailableError(peers.missing(["prometheus"])["prometheus"])
    address = f"{HOST}:{free_port()}"
    (folder / "prometheus.yml").write_text(CONFIG.format(rules=rules, target=target))
    log = folder / "prometheus.log"
    arguments = (
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    )
    argv = command.argv(*arguments)
    with daemon.running(argv, command.env, log, lambda: _is_ready(address)):
        yield address


def query(address: str, expression: str) -> list[Any]:
    """Return the series of an expression now; raise urllib's HTTPError if it is wrong."""
    found: list[Any] = _get(address, "query", query=expression)["data"]["result"]
    return found


def _get(address: str, name: str, **parameters: str) -> Any:
    url = f"http://{address}/api/v1/{name}?{urllib.parse.urlencode(parameters)}"
    with urllib.request.urlopen(url, timeout=10) as response:
        return json.load(response)


def rules(address: str) -> list[Any]:
    """Return the state of every rule."""
    groups = _get(address, "rules")["data"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def _is_ready(address: str) -> bool:
    with contextlib.suppress(OSError):
        urllib.request.urlopen(f"http://{address}/-/ready", timeout=10).close()
        return True
    return False
