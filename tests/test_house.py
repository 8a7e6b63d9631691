"""The rules of the source: import layers, docstrings, the public API, short functions."""

import ast
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

import gatepost

# Packages with import rings between their files. Remove a name when its rings are gone.
RINGS_TO_REMOVE = set()

ROOT = Path(gatepost.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
LONGEST = 60


def identity(path):
    return str(path.relative_to(ROOT))


def test_imports_go_only_downward():
    config = ROOT.parents[1] / "pyproject.toml"
    assert lint_imports(config_filename=str(config), no_cache=True) == EXIT_STATUS_SUCCESS


def module_name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path, names):
    """Yield the modules that a file imports anywhere, also under TYPE_CHECKING."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in names else node.module


def rings(graph):
    """Return the sets of modules that import each other, directly or through others."""
    reach = {name: reachable(graph, name) for name in graph}
    found = {frozenset(b for b in reach[a] if a in reach[b]) for a in graph if a in reach[a]}
    return sorted(map(sorted, found))


def reachable(graph, start):
    found, todo = set(), [start]
    while todo:
        new = graph.get(todo.pop(), set()) - found
        found |= new
        todo += new
    return found


def test_a_ring_is_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}}
    assert rings(graph) == [["b", "c"], ["d"]]


def test_no_import_rings():
    names = {module_name(path): path for path in MODULES}
    graph = {name: set(imports(path, names)) & set(names) for name, path in names.items()}
    found = [
        ring
        for ring in rings(graph)
        if not {name.split(".")[1] for name in ring if "." in name} & RINGS_TO_REMOVE
    ]
    assert found == []


@pytest.mark.parametrize("path", MODULES, ids=identity)
def test_every_module_has_a_docstring(path):
    assert ast.get_docstring(ast.parse(path.read_text())) or path.name == "_version.py"


@pytest.mark.parametrize("path", MODULES, ids=identity)
def test_no_function_is_long(path):
    functions = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = [one.name for one in functions if one.end_lineno - one.lineno >= LONGEST]
    assert long == []


def test_the_public_api_is_that_of_the_stub():
    stub = ast.parse((ROOT / "__init__.pyi").read_text())
    names = [alias for node in stub.body for alias in node.names]
    assert [one.name for one in names] == [one.asname for one in names]
    assert gatepost.__all__ == dir(gatepost) == sorted(one.name for one in names)


def test_a_private_name_is_not_in_the_public_api():
    assert not hasattr(gatepost, "import_from_nowhere")


@pytest.mark.parametrize("name", gatepost.__all__)
def test_every_public_name_is_there_and_described(name):
    value = getattr(gatepost, name)
    assert name == "__version__" or value.__doc__
