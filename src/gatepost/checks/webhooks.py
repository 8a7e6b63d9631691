"""Checks of webhooks: their secrets, the package that sends them, unencrypted URLs."""

from collections.abc import Iterator
from importlib.util import find_spec
from ipaddress import ip_address
from urllib.parse import urlsplit

from gatepost.config.schema import Config
from gatepost.config.secret_file import read_secret
from gatepost.session.assemble import Lists
from gatepost.session.setup import Setup


def webhooks(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of webhooks that cannot be used, and of records that others can read."""
    if config.webhook and find_spec("aiohttp") is None:
        yield "webhook: expected the package aiohttp: pip install 'gatepost[http]'"
    for number, one in enumerate(config.webhook):
        try:
            read_secret(config.path(one.secret_file))
        except ValueError as error:
            yield f"webhook[{number}].secret_file: {error}: the webhook is not used"
        parts = urlsplit(one.url)
        if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
            yield (
                f"webhook[{number}].url: records go to {parts.hostname} without encryption:"
                " expected https"
            )
        if not one.events:
            yield f"webhook[{number}].events is empty: nothing is sent"


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
