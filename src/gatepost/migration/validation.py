"""The last step before a configuration is written: what the server would not accept is dropped.

A value of another server can have a form that no reader here expects. The whole configuration is
read as the server reads it. A key that is not valid is removed; of a route, a listener and a plugin
all of it, because half of one could do more than its whole. Each becomes a finding.

A plugin that cannot be loaded for another reason, such as a library that is not installed, stays:
the check of the new configuration reports it.
"""

import tomllib
from pathlib import Path

from gatepost.config.load import config_from_dict
from gatepost.config.problem import ConfigError
from gatepost.log.printable import printable
from gatepost.migration.draft import Draft
from gatepost.plugin.host import PluginError
from gatepost.plugin.loader import PluginOptionsError, load_plugin
from gatepost.plugin.place import Place

_MOST_ROUNDS = 1000


def drop_invalid(draft: Draft, folder: Path) -> None:
    """Remove what is not valid. `folder` has the lists of the configuration."""
    for _ in range(_MOST_ROUNDS):
        if not _drop_a_key(draft, folder):
            break
    for table in list(draft.plugins):
        problem = _problem_of(table.keys, folder)
        if problem:
            draft.drop_plugin(table, printable(problem))


def _drop_a_key(draft: Draft, folder: Path) -> bool:
    """Remove the first part that is not valid; return whether there was one to remove."""
    try:
        config_from_dict(tomllib.loads(draft.text()), folder)
    except ConfigError as error:
        return any(draft.drop(one.key, printable(one.text)) for one in error.problems)
    return False


def _problem_of(keys: object, folder: Path) -> str:
    assert isinstance(keys, dict)
    try:
        load_plugin(keys["use"], keys.get("options", {}), Place(folder))
    except PluginOptionsError as error:
        return str(error)
    except PluginError:
        return ""
    return ""
