"""The rules of the source: import layers, docstrings, the public API, short functions."""

import ast
from pathlib import Path

import pytest
from importlinter.cli import EXIT_STATUS_SUCCESS, lint_imports

import gatepost

ROOT = Path(gatepost.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
LONGEST = 60


def identity(path):
    return str(path.relative_to(ROOT))


def test_imports_go_only_downward():
    config = ROOT.parents[1] / "pyproject.toml"
    assert lint_imports(config_filename=str(config), no_cache=True) == EXIT_STATUS_SUCCESS


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


def test_the_public_api():
    assert gatepost.__all__ == [
        "Address",
        "AddressError",
        "Answer",
        "AuthAttempt",
        "AuthFacts",
        "Clock",
        "Config",
        "ConfigError",
        "Decision",
        "Endpoint",
        "Headers",
        "Message",
        "Outcome",
        "Plugin",
        "Recipient",
        "Reply",
        "Server",
        "Session",
        "SetupError",
        "TlsFacts",
        "Transaction",
        "TrapHit",
        "Verdict",
        "__version__",
        "accept",
        "defer",
        "deny",
        "from_dict",
        "load",
    ]


@pytest.mark.parametrize("name", gatepost.__all__)
def test_every_public_name_is_there_and_described(name):
    value = getattr(gatepost, name)
    assert name == "__version__" or value.__doc__
