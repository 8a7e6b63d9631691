"""Types and values of options in words, for error messages and `gatepost plugins`."""

import json
import re
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from gatepost.config.problem import format_value, quote
from gatepost.model.secret import HIDDEN, Secret
from gatepost.plugin.options.kinds import EXPECTED, Duration, Size
from gatepost.plugin.options.lists import OptionList
from gatepost.plugin.options.reaction import Reaction

_PLAIN: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    type(None): "nothing",
    list: "an array",
    tuple: "an array",
    set: "an array",
    frozenset: "an array",
    dict: "a table",
}
# msgspec's names of types.
_NAMED = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "array": "an array",
    "object": "a table",
    "null": "nothing",
}
_EXPECTED = re.compile(r"Expected `([^`]+)`(.*?)(?:, got `[^`]+`)?")
_PATH = re.compile(r"(.*) - at `\$([^`]*)`", re.DOTALL)


def expected(kind: Any) -> str:
    """Return what a value of a type looks like: "a whole number"."""
    found = EXPECTED.get(kind) or _PLAIN.get(kind)
    if found is not None:
        return found
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(map(json.dumps, arguments))
    if origin in (Union, types.UnionType):
        return " or ".join(expected(one) for one in arguments if one is not type(None))
    if origin is not None and hasattr(kind, "__metadata__"):
        return expected(arguments[0])
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return "a table"
    return _PLAIN.get(origin, f"a value of the type {type_name(kind)}")


def type_name(kind: Any) -> str:
    """Return a type as its plugin writes it: `int`, `tuple[str, ...]`, `Duration`."""
    if isinstance(kind, type) and get_origin(kind) is None:
        return kind.__name__
    return re.sub(r"\b(?:\w+\.)+(?=\w)", "", str(kind))


def shown_default(value: object) -> str:
    """Return the default of an option as in the configuration; a secret is hidden."""
    if isinstance(value, OptionList):
        value = list(value.entries)
    shown = next((write for kind, write in _WRITERS.items() if isinstance(value, kind)), repr)
    return shown(value)


def _array(value: Any) -> str:
    return f"[{', '.join(map(shown_default, value))}]"


def _table(value: Any) -> str:
    """Return a table in one line, without the values that are defaults; the required ones first."""
    fields = sorted(msgspec.structs.fields(value), key=lambda one: not one.required)
    given = (
        (one.encode_name, found)
        for one in fields
        if (found := getattr(value, one.name)) != _default(one)
    )
    return f"{{ {', '.join(f'{name} = {shown_default(found)}' for name, found in given)} }}"


def _default(one: msgspec.structs.FieldInfo) -> object:
    factory = one.default_factory
    return one.default if factory is msgspec.NODEFAULT else factory()


_WRITERS: Mapping[type, Callable[[Any], str]] = {
    Secret: lambda value: repr(value) if value else '""',
    Duration: lambda value: quote(str(value)),
    Size: lambda value: quote(str(value)),
    Path: lambda value: quote(str(value)),
    Reaction: lambda value: str(value) if value.score else quote(value.word),
    bool: json.dumps,
    str: quote,
    list: _array,
    tuple: _array,
    msgspec.Struct: _table,
}


def describe_error(error: msgspec.ValidationError, kind: Any, value: object) -> tuple[str, str]:
    """Return where in a value an error is, such as `[1]`, and the error in words."""
    match = _PATH.fullmatch(str(error))
    text, path = (match[1], match[2]) if match else (str(error), "")
    if error.__cause__ is not None:
        return path, text  # the text of a reader
    found = HIDDEN if holds_secret(kind) else format_value(_at(value, path))
    match = _EXPECTED.fullmatch(text)
    if match is not None:
        words = " or ".join(_NAMED.get(one, one) for one in match[1].split(" | "))
        return path, f"expected {words}{match[2]}, found {found}"
    if text.startswith("Invalid enum value") and not path:
        return path, f"expected {expected(kind)}, found {found}"
    return path, f"{text[:1].lower()}{text[1:]}, found {found}"


def holds_secret(kind: Any) -> bool:
    """Return whether values of a type contain secrets."""
    return kind is Secret or any(map(holds_secret, get_args(kind)))


def _at(value: Any, path: str) -> Any:
    """Return the part of a value at a path of msgspec; as far as the path is known."""
    for index, key in re.findall(r"\[(\d+)\]|\.(\w+)", path):
        if isinstance(value, list | tuple) and index:
            value = value[int(index)]
        elif isinstance(value, Mapping) and key in value:
            value = value[key]
    return value
