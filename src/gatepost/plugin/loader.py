"""Finding plugins: a shipped one by name, an installed package's by entry point, a `.py` file.

Security: a plugin is code that runs with the server's rights. Only what the configuration names is
imported, and nothing is looked up relative to the current folder.
"""

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from gatepost.plugin.base import OptionsError, Plugin
from gatepost.plugin.host import PluginError

SHIPPED = "gatepost.plugins"
ENTRY_POINT_GROUP = "gatepost.plugins"


def load_plugin(use: str, options: Mapping[str, Any], base: Path) -> Plugin:
    """Find, import and make the plugin that the configuration calls `use`.

    A relative path starts at `base`. Raises `PluginError` saying what was found and expected.
    """
    plugin_class, name = find_plugin(use, base)
    try:
        plugin = plugin_class(**options)
    except OptionsError as error:
        raise PluginError(f"plugin {use}: options: {error}") from error
    except Exception as error:
        raise PluginError(f"plugin {use}: could not be made: {error!r}") from error
    plugin.name = name
    plugin.log = plugin.log.bind(plugin=name)
    return plugin


def find_plugin(use: str, base: Path) -> tuple[type[Plugin], str]:
    """Return the class and the name of a plugin; raises `PluginError`."""
    if use.endswith(".py"):
        path = base / use
        return plugin_class_of(_import_file(path), str(path)), path.stem
    if use in builtin_names():
        module = importlib.import_module(f"{SHIPPED}.{use}")
        return plugin_class_of(module, use), use
    for point in entry_points(group=ENTRY_POINT_GROUP, name=use):
        return _from_entry_point(_import_entry_point(point, use), use), use
    raise PluginError(
        f"plugin {use}: not found, expected the name of a shipped plugin, an entry point of group "
        f"{ENTRY_POINT_GROUP}, or a path that ends in .py"
    )


def builtin_names() -> Iterator[str]:
    """Yield the names of the shipped plugins."""
    shipped = importlib.import_module(SHIPPED)  # by name: plugins are above their host
    return (module.name for module in pkgutil.iter_modules(shipped.__path__))


def plugin_class_of(module: ModuleType, where: str) -> type[Plugin]:
    """Return the one plugin class a module defines; raises `PluginError` for none or several."""
    found = [
        member
        for member in vars(module).values()
        if inspect.isclass(member)
        and issubclass(member, Plugin)
        and member.__module__ == module.__name__
    ]
    if len(found) != 1:
        names = ", ".join(one.__name__ for one in found) or "none"
        raise PluginError(f"plugin {where}: expected one class derived from Plugin, found {names}")
    return found[0]


def _import_file(path: Path) -> ModuleType:
    name = f"gatepost_plugin_{path.stem}_{abs(hash(str(path.absolute()))):x}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise PluginError(f"plugin {path}: no such file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise PluginError(f"plugin {path}: import failed: {error!r}") from error
    return module


def _import_entry_point(point: EntryPoint, use: str) -> Any:
    try:
        return point.load()
    except Exception as error:
        raise PluginError(f"plugin {use}: import failed: {error!r}") from error


def _from_entry_point(loaded: Any, use: str) -> type[Plugin]:
    if inspect.isclass(loaded) and issubclass(loaded, Plugin):
        return loaded
    if inspect.ismodule(loaded):
        return plugin_class_of(loaded, use)
    raise PluginError(f"plugin {use}: expected a class derived from Plugin, found {loaded!r}")
