"""Values in TOML, with the comments of an imported configuration.

TOML strings have the escapes of JSON, except that DEL must be escaped too.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from gatepost.log.printable import printable

Value: TypeAlias = str | int | float | bool | Sequence["Value"] | Mapping[str, "Value"]

WIDTH = 100
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def to_toml(value: Value) -> str:
    """Return a value on one line."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key(name)} = {to_toml(one)}" for name, one in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(to_toml, value))}]"
    return json.dumps(value)


def key(name: str) -> str:
    """Return a key, in quotes if it needs them."""
    return name if _BARE.fullmatch(name) else to_toml(name)


def assignment(name: str, value: Value, remark: str = "") -> list[str]:
    """Return the lines of a key: one, or one for each item of an array that is too long."""
    line = f"{key(name)} = {to_toml(value)}"
    if len(line) > WIDTH and isinstance(value, Sequence) and not isinstance(value, str):
        items = (f"  {to_toml(one)}," for one in value)
        return [f"{key(name)} = [{comment(remark)}", *items, "]"]
    return [f"{line}{comment(remark)}"]


def comment(text: str) -> str:
    """Return a comment for the end of a line, "" without a text."""
    return f"  # {printable(text)}" if text else ""
