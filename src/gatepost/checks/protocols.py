"""Methods of plugins that a protocol never calls."""

from collections.abc import Iterator

from gatepost.config.schema import Config
from gatepost.plugin.base import Installed
from gatepost.plugin.contract import implemented
from gatepost.session.assemble import Lists
from gatepost.session.hook_modes import never_called
from gatepost.session.setup import Setup


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
