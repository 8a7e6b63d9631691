"""Methods of plugins, and settings of listeners, that have no effect in a protocol."""

from collections.abc import Iterator

from gatepost.config.schema import Config, ListenConfig
from gatepost.plugin.base import Installed
from gatepost.plugin.contract import implemented
from gatepost.session.assemble import Lists
from gatepost.session.dialect import DIALECTS
from gatepost.session.hook_modes import never_called
from gatepost.session.setup import Setup

_DEFAULT = ListenConfig()
# Settings of a listener for clients: a mail server that asks does these things itself.
_OF_CLIENTS = ("tls", "auth", "proxy_from", "xclient_from")


def settings_without_effect(config: Config, _setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of settings that a listener for mail servers does not use."""
    for number, listen in enumerate(config.listen):
        for key in _OF_CLIENTS if DIALECTS[listen.protocol].wire is None else ():
            if getattr(listen, key) != getattr(_DEFAULT, key):
                yield f"listen[{number}].{key} has no effect with {listen.protocol}"


def methods_never_called(config: Config, setup: Setup, _lists: Lists) -> Iterator[str]:
    """Warn of the methods of plugins that the protocol of a listener never calls."""
    for protocol in dict.fromkeys(one.protocol for one in config.listen):
        names = {one.name for one in config.listen if one.protocol == protocol}
        for one in setup.plugins.installed:
            methods = never_called(protocol, implemented(one.plugin)) if _runs(one, names) else []
            if methods:
                yield f"plugin {one.plugin.name}: never called in {protocol} mode: " + ", ".join(
                    methods
                )


def _runs(one: Installed, names: set[str]) -> bool:
    """Return whether a plugin runs on one of the listeners with these names."""
    return one.scope is None or not one.scope.listen or not one.scope.listen.isdisjoint(names)
