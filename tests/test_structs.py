"""The options of structs are in force, in the compiled build too: mypyc drops the keywords."""

import ast
import importlib
from pathlib import Path

import msgspec
import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src"
# Those that a base class passes on.
OPTIONS = {"array_like", "eq", "forbid_unknown_fields", "frozen", "gc", "order", "weakref"}


def keywords(node):
    """Return the options that a class has as keywords."""
    return {one.arg: ast.literal_eval(one.value) for one in node.keywords if one.arg in OPTIONS}


def classes():
    """Yield the module, the name and the options of each class with keywords."""
    for file in sorted((SOURCE / "gatepost").rglob("*.py")):
        module = ".".join(file.relative_to(SOURCE).with_suffix("").parts)
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef) and keywords(node):
                yield module, node.name, keywords(node)


CLASSES = list(classes())


def test_there_are_structs_with_options():
    assert ("gatepost.model.address", "Address", {"frozen": True}) in CLASSES


@pytest.mark.parametrize(
    ("module", "name", "options"), CLASSES, ids=[f"{one[0]}.{one[1]}" for one in CLASSES]
)
def test_the_options_of_a_struct_are_in_force(module, name, options):
    struct = getattr(importlib.import_module(module), name)
    assert issubclass(struct, msgspec.Struct)
    assert {option: getattr(struct.__struct_config__, option) for option in options} == options
