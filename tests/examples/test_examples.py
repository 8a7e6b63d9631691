"""The examples pass their own tests, can be loaded by the configuration, and are short."""

import ast
import importlib
import io
import tokenize
from pathlib import Path

import pytest
from tools import reference

from gatepost.plugin.loader import load_plugin
from gatepost.plugin.place import Place

EXAMPLES = Path(__file__).parents[2] / "examples"

for _path in sorted(EXAMPLES.glob("test_*.py")):
    _module = importlib.import_module(f"examples.{_path.stem}")
    globals().update(
        {name: one for name, one in vars(_module).items() if name.startswith("test_")}
        | ({"plugin": _module.plugin} if hasattr(_module, "plugin") else {})
    )

# The options of recipes that have no default.
REQUIRED = {
    "sql_recipients": {"database": __file__},
    "ldap_recipients": {"url": "ldap://ldap.example.com", "base": "dc=example,dc=com"},
    "aliases": {"aliases": {}, "journal": "journal@example.com"},
}
# Recipes that import packages which the server does not require.
EXTERNAL = ("ldap_recipients",)
# Lines of code: a recipe that needs more lacks something of the server.
LARGEST = {
    "rspamd_check": 25,
    "clamd_scan": 16,
    "sql_recipients": 14,
    "ldap_recipients": 14,
    "attachments": 15,
    "tag_external": 14,
    "aliases": 8,
    "decision_log": 22,
    "status_verb": 7,
    "prometheus": 24,
    "spam_opt_in": 7,
}
NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def test_the_examples_have_tests():
    assert {"test_closed_on_mondays", "test_the_order_of_plugins_does_not_matter"} <= set(globals())


@pytest.mark.parametrize("name", ["check_verybadrcptto", "no_mondays", *reference.RECIPES])
def test_every_example_is_one_plugin(name, request):
    if name in EXTERNAL:
        request.getfixturevalue("packages")
    plugin = load_plugin(f"{name}.py", REQUIRED.get(name, {}), Place(EXAMPLES))
    assert plugin.name == name


@pytest.mark.parametrize("name", reference.RECIPES)
def test_the_docstring_of_a_recipe_has_its_configuration(name):
    text = ast.get_docstring(ast.parse((EXAMPLES / f"{name}.py").read_text()))
    assert f'[[plugin]]\n    use = "plugins/{name}.py"\n' in text


@pytest.mark.parametrize("name", reference.RECIPES)
def test_recipes_are_short(name):
    assert code_lines(EXAMPLES / f"{name}.py") <= LARGEST[name]


def code_lines(path):
    """Return the number of lines without blank lines, comments and docstrings."""
    source = path.read_text()
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in NOT_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            if ast.get_docstring(node):
                lines -= set(range(first.lineno, first.end_lineno + 1))
    return len(lines)
