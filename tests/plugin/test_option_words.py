"""Types and defaults of options in words."""

from pathlib import Path
from typing import Literal

import msgspec
import pytest

from gatepost import AddressList, Duration, File, Plugin, Secret, Size
from gatepost.plugin.options.reader import OptionsError, read_options
from gatepost.plugin.options.words import describe_error, shown_default, type_name
from gatepost.plugin.place import Place


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (int, "int"),
        (Duration, "Duration"),
        (tuple[Duration, ...], "tuple[Duration, ...]"),
        (AddressList | None, "AddressList | None"),
        (Literal["a"], "Literal['a']"),
        (dict[str, Path], "dict[str, Path]"),
    ],
)
def test_types_are_shown_as_they_are_written(kind, name):
    assert type_name(kind) == name


class _Table(msgspec.Struct, kw_only=True):
    limit: Size = Size("5KiB")
    others: dict[str, str] = {}
    name: str


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Secret(), '""'),
        (Secret("hunter2"), "<secret>"),
        (Duration("5m"), '"5m"'),
        (Size("25MiB"), '"25MiB"'),
        (File("x"), '"x"'),
        (Path("x/y"), '"x/y"'),
        (True, "true"),
        (3, "3"),
        ("x", '"x"'),
        (("a", Secret("hunter2")), '["a", <secret>]'),
        (AddressList("@x.example", "file:y"), '["@x.example", "file:y"]'),
        (None, "None"),
        (_Table(name="x", limit=Size("1KiB")), '{ name = "x", limit = "1KiB" }'),
        (_Table(name="x"), '{ name = "x" }'),
    ],
)
def test_defaults_are_shown_as_in_the_configuration(value, text):
    assert shown_default(value) == text


def error(kind, value):
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(value, kind)
    return describe_error(caught.value, kind, value)


def test_the_wrong_part_of_a_value_is_shown():
    inner = msgspec.defstruct("Inner", [("x", int)])
    assert error(inner, {"x": "y"}) == (".x", 'expected a whole number, found "y"')
    assert error(list[inner], [{"x": "y"}]) == ("[0].x", 'expected a whole number, found "y"')
    path, text = error(list[inner], [{}])
    assert (path, text) == ("[0]", "object missing required field `x`, found a table")


def test_a_plugin_without_options_is_named():
    with pytest.raises(OptionsError, match=r"^Mine: x: unknown option; the plugin has no options$"):
        read_options({"x": 1}, Plugin.Options, Place(source="Mine"))
