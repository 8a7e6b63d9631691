"""The examples pass their own tests, and can be loaded by the configuration."""

import importlib
from pathlib import Path

import pytest

from gatepost.plugin.loader import load_plugin
from gatepost.plugin.place import Place

EXAMPLES = Path(__file__).parents[2] / "examples"

for _path in sorted(EXAMPLES.glob("test_*.py")):
    _module = importlib.import_module(f"examples.{_path.stem}")
    globals().update(
        {name: one for name, one in vars(_module).items() if name.startswith("test_")}
        | ({"plugin": _module.plugin} if hasattr(_module, "plugin") else {})
    )


def test_the_examples_have_tests():
    assert {"test_closed_on_mondays", "test_the_order_of_plugins_does_not_matter"} <= set(globals())


@pytest.mark.parametrize("name", ["check_verybadrcptto", "no_mondays", "tag_external"])
def test_every_example_is_one_plugin(name):
    assert load_plugin(f"{name}.py", {}, Place(EXAMPLES)).name == name
