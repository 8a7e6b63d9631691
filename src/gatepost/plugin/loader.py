"""Plugins by name: a shipped one, an entry point of an installed package, a `.py` file or a folder.

A folder is imported as a package, so its modules can import each other: `from .rules import Rule`.
Each load imports the files again.

Security: a plugin is code that runs with the server's rights. Only plugins that the configuration
names are imported, and no name is looked up relative to the current folder.
"""

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gatepost.plugin.base import Plugin
from gatepost.plugin.failure import describe
from gatepost.plugin.host import PluginError
from gatepost.plugin.options.by_domain import OPTIONS_FOR
from gatepost.plugin.options.reader import OptionsError
from gatepost.plugin.place import Place

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

SHIPPED = "gatepost.plugins"
ENTRY_POINT_GROUP = "gatepost.plugins"


class PluginOptionsError(PluginError):
    """Options that a plugin cannot use; `problems` has a line for each, with file and key."""

    def __init__(self, error: OptionsError) -> None:
        super().__init__(str(error))
        self.problems = list(map(str, error.problems))


def load_plugin(
    use: str,
    options: Mapping[str, Any],
    place: Place,
    name: str = "",
    options_for: Mapping[str, Mapping[str, Any]] | None = None,
) -> Plugin:
    """Find and import the plugin `use`, and return an instance with these options.

    A relative path starts at `place.base`. `name` replaces the plugin's own name. `options_for` has
    the options for domains.
    Raises `PluginError` for any problem.
    """
    plugin_class, own_name = find_plugin(use, place.base)
    try:
        _refuse_options_for(options, place)
        by_domain = {OPTIONS_FOR: options_for} if options_for else {}
        plugin = _create(plugin_class, {**options, **by_domain}, place)
    except OptionsError as error:
        raise PluginOptionsError(error) from error
    except Exception as error:
        raise PluginError(f"plugin {use}: __init__() failed: {describe(error)}") from error
    if not hasattr(plugin, "log"):
        raise PluginError(f"plugin {use}: __init__() does not call super().__init__(**options)")
    plugin.name = name or own_name
    plugin.log = plugin.log.bind(plugin=plugin.name)
    return plugin


def _refuse_options_for(options: Mapping[str, Any], place: Place) -> None:
    """Raise `OptionsError` for options for domains that are among those in general."""
    if OPTIONS_FOR in options:
        location = place.location
        location.member(OPTIONS_FOR).report("expected [plugin.options_for.DOMAIN] next to options")
        raise OptionsError(location.problems)


def _create(plugin_class: type[Plugin], options: Mapping[str, Any], place: Place) -> Plugin:
    """Return a new plugin; its place is set first, because its options are relative to it."""
    plugin = plugin_class.__new__(plugin_class)
    plugin.config_place = place
    plugin_class.__init__(plugin, **options)
    return plugin


def find_plugin(use: str, base: Path) -> tuple[type[Plugin], str]:
    """Return the class and the name of a plugin; raises `PluginError`."""
    path = base / use
    if use.endswith(".py"):
        return plugin_class_of(_import_file(path, path), str(path)), path.stem
    if "/" in use:
        return plugin_class_of(_import_folder(path), str(path)), path.name
    if use in builtin_names():
        module = importlib.import_module(f"{SHIPPED}.{use}")
        return plugin_class_of(module, use), use
    for point in _entry_points(use):
        return _from_entry_point(_import_entry_point(point, use), use), use
    raise PluginError(
        f"plugin {use}: not found, expected the name of a shipped plugin, an entry point of group "
        f"{ENTRY_POINT_GROUP}, a path that ends in .py, or a folder such as plugins/{use}/"
    )


def _entry_points(use: str) -> "Iterable[EntryPoint]":
    from importlib.metadata import entry_points  # noqa: PLC0415 - takes milliseconds

    return entry_points(group=ENTRY_POINT_GROUP, name=use)


def builtin_names() -> Iterator[str]:
    """Yield the names of the shipped plugins."""
    shipped = importlib.import_module(SHIPPED)  # by name: plugins are above their host
    names = (module.name for module in pkgutil.iter_modules(shipped.__path__))
    return (name for name in names if not name.startswith("_"))


def plugin_class_of(module: ModuleType, where: str) -> type[Plugin]:
    """Return the one plugin class that a module defines; raises `PluginError` otherwise.

    Base classes do not count: those whose name starts with an underscore, and those from which
    another plugin of the module is derived.
    """
    defined: list[type[Plugin]] = [
        one for one in vars(module).values() if _is_plugin_of(module, one)
    ]
    bases: set[type] = {base for one in defined for base in one.__mro__[1:]}
    found = [one for one in dict.fromkeys(defined) if _is_usable(one, bases)]
    if len(found) != 1:
        names = ", ".join(one.__name__ for one in found) or "none"
        raise PluginError(f"plugin {where}: expected one class derived from Plugin, found {names}")
    return found[0]


def _is_usable(plugin: type[Plugin], bases: set[type]) -> bool:
    return plugin not in bases and not plugin.__name__.startswith("_")


def _is_plugin_of(module: ModuleType, value: Any) -> bool:
    if not (inspect.isclass(value) and issubclass(value, Plugin)):
        return False
    return value.__module__ == module.__name__ or value.__module__.startswith(f"{module.__name__}.")


def _import_folder(path: Path) -> ModuleType:
    """Import a folder as a package."""
    if not path.is_dir():
        raise PluginError(f"plugin {path}: no such folder")
    return _import_file(path, path / "__init__.py")


def _import_file(plugin: Path, path: Path) -> ModuleType:
    """Import the file of a plugin, or that of its folder."""
    name = f"gatepost_plugin_{plugin.stem}_{abs(hash(str(plugin.absolute()))):x}"
    folders = [str(plugin)] if plugin != path else None
    spec = importlib.util.spec_from_file_location(name, path, submodule_search_locations=folders)
    if spec is None or spec.loader is None or not path.is_file():
        raise PluginError(f"plugin {path}: no such file")
    module = importlib.util.module_from_spec(spec)
    _remove(name)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        _remove(name)
        problem = f"{describe(error)}{_hint(error, plugin)}"
        raise PluginError(f"plugin {plugin}: import failed: {problem}") from error
    return module


def _remove(name: str) -> None:
    """Remove a module, and those of its folder, so that they are imported again."""
    for one in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
        del sys.modules[one]


def _hint(error: Exception, plugin: Path) -> str:
    """Return what to write instead of a default that msgspec refuses, or of a relative import."""
    if isinstance(error, TypeError) and "mutable collection" in str(error):
        return " For the default of an option, use a tuple, or field(default_factory=...)."
    if isinstance(error, ImportError) and "no known parent package" in str(error):
        folder = plugin.with_suffix("")
        return f". Only a plugin that is a folder can do this: move the files to {folder}/."
    return ""


def _import_entry_point(point: "EntryPoint", use: str) -> Any:
    try:
        return point.load()
    except Exception as error:
        raise PluginError(f"plugin {use}: import failed: {describe(error)}") from error


def _from_entry_point(loaded: Any, use: str) -> type[Plugin]:
    if inspect.isclass(loaded) and issubclass(loaded, Plugin):
        return loaded
    if inspect.ismodule(loaded):
        return plugin_class_of(loaded, use)
    raise PluginError(f"plugin {use}: expected a class derived from Plugin, found {loaded!r}")
