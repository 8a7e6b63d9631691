"""Checks of the ledger and the metrics: space on the disk, and who can read the figures."""

import shutil
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

from gatepost.config.listen import InetAddress, parse_listen_address
from gatepost.config.schema import Config
from gatepost.config.units import format_size
from gatepost.session.assemble import Lists
from gatepost.session.setup import Setup


def metrics(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of metrics that other hosts can read."""
    if not config.metrics.listen:
        return
    address = parse_listen_address(config.metrics.listen)
    if isinstance(address, InetAddress) and not ip_address(address.host).is_loopback:
        yield (
            f"metrics.listen is {address}: other hosts can read names of lists, plugins and next"
            " hops: expected a loopback address, or a firewall in front of it"
        )


def space(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of a ledger that may become larger than the disk."""
    if not config.ledger.enabled:
        return
    folder = config.data_dir / "ledger"
    try:
        free = shutil.disk_usage(_existing(folder)).free
        used = sum(one.stat().st_size for one in folder.glob("*.sqlite*"))
    except OSError:
        return  # another check reports a folder that cannot be used
    if config.ledger.size > free + used:
        yield (
            f"ledger.size is {format_size(config.ledger.size)}, but the disk of {folder} has only"
            f" {format_size((free + used) // 2**20 * 2**20)} for it: when it is full, mail is"
            " deferred and records are dropped"
        )


def _existing(path: Path) -> Path:
    """Return the path, or the nearest of its parents that exists."""
    return next(one for one in (path, *path.parents) if one.exists())
