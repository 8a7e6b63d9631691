"""Descriptions of options: the string literal that follows its field in the class `Options`.

Trusts: the source of the plugin is the administrator's. Limits: without a source, as of a class
made by `exec`, there is no text.
"""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from itertools import pairwise


def about_options(options: type) -> Mapping[str, str]:
    """Return the texts of the fields of an `Options` class and its bases, by name of the field."""
    texts: dict[str, str] = {}
    for base in reversed(options.__mro__):
        if base.__module__ not in ("builtins", "msgspec", __name__):
            texts.update(_texts(base))
    return texts


def _texts(options: type) -> Mapping[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(options)))
    except (OSError, TypeError, SyntaxError, ValueError):
        return {}
    body = tree.body[0].body if tree.body and isinstance(tree.body[0], ast.ClassDef) else []
    return {
        field.target.id: " ".join(text.split())
        for field, after in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        for text in _text(after)
    }


def _text(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return [node.value.value] if isinstance(node.value.value, str) else []
    return []
