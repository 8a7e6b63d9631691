"""The parts of the documentation that are made from the program: `python tools/reference.py`.

A page in docs/ is written by hand, but for what stands between `<!-- generated: NAME -->` and
`<!-- generated: end -->`, which comes from the function of that name in PARTS. Run this after a
change of the configuration's schema, of the hooks, or of the order of commands; a test compares.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import FieldInfo

from gatepost.config import kinds, units
from gatepost.config.kinds import ArrayKind, Key, TableKind
from gatepost.config.schema import Config, LimitsConfig
from gatepost.config.unavailable import UNAVAILABLE
from gatepost.lists import addresses, entry, file
from gatepost.model import address, reply
from gatepost.model.reply import Reply
from gatepost.plugin.hooks import HOOKS, NOTIFICATIONS
from gatepost.server import connection
from gatepost.session import setup
from gatepost.wire.smtp import content
from gatepost.wire.smtp.commands import (
    AFTER_REFUSED_BDAT,
    COMMANDS,
    OFFERED_COMMANDS,
    TRANSITIONS,
    Flags,
    State,
)

DOCS = Path(__file__).resolve().parent.parent / "docs"

_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- generated: end -->)", re.DOTALL)
_MARKDOWN = re.compile(r"([*|<\\])")
_OUT_OF_ORDER = "Bad sequence of commands: "

Rows = Iterator[Sequence[str]]


def main() -> int:
    """Renew every page; say which have changed."""
    for path in pages():
        old = path.read_text("utf-8")
        new = renewed(old)
        if new != old:
            path.write_text(new, "utf-8")
            print(f"{path} renewed")
    return 0


def pages() -> list[Path]:
    """Return the pages that have generated parts."""
    return [path for path in sorted(DOCS.glob("*.md")) if _PART.search(path.read_text("utf-8"))]


def renewed(page: str) -> str:
    """Return a page with its generated parts made anew; raises KeyError for an unknown one."""
    return _PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n{part[3]}", page)


def prose(text: str) -> str:
    """Return plain text as Markdown that shows just that, also in a cell of a table."""
    return _MARKDOWN.sub(r"\\\1", text)


def table(header: Sequence[str], rows: Rows) -> str:
    """Return a table in Markdown."""
    lines = (header, ["---"] * len(header), *rows)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def keys() -> str:
    """Return the configuration's keys, a section for each table."""
    return "\n".join(_sections())


def _sections() -> Iterator[str]:
    for field, key in kinds.keys(Config):
        struct, name = _struct_of(key.kind), field.encode_name
        several = isinstance(key.kind, ArrayKind)
        heading = f"[[{name}]]" if several else f"[{name}]"
        yield f"## `{heading}`\n\n{prose(key.about)}\n"
        yield from _section(struct, f"{name}[]" if several else name)


def _section(struct: type[msgspec.Struct], path: str) -> Iterator[str]:
    """Yield a table of keys, and after it those of the tables among them."""
    found = list(kinds.keys(struct))
    rows = (_key_row(field, key, f"{path}.{field.encode_name}") for field, key in found)
    yield table(("key", "value", "default", "what it does"), iter(rows))
    for field, key in found:
        inside = f"{path}.{field.encode_name}"
        if isinstance(key.kind, ArrayKind) and isinstance(key.kind.of, TableKind):
            yield f"Each item of `{field.encode_name}`:\n"
            yield from _section(key.kind.of.struct, f"{inside}[]")
        elif isinstance(key.kind, TableKind):
            yield f"The keys of `{field.encode_name}`:\n"
            yield from _section(key.kind.struct, inside)


def _struct_of(kind: kinds.ValueKind) -> type[msgspec.Struct]:
    inner = kind.of if isinstance(kind, ArrayKind) else kind
    assert isinstance(inner, TableKind)
    return inner.struct


def _key_row(field: FieldInfo, key: Key, path: str) -> Sequence[str]:
    words = [prose(key.about)]
    if key.why:
        words.append(f"*Default:* {prose(key.why)}")
    if any(row.key == path for row in UNAVAILABLE):
        words.append("[Not all of it is available yet](#not-available-yet).")
    return f"`{field.encode_name}`", prose(key.kind.expected), _default(field, key), " ".join(words)


def _default(field: FieldInfo, key: Key) -> str:
    if field.required:
        return "none, required"
    if isinstance(key.kind, TableKind):
        return "`{}`"
    factory = field.default_factory
    value = field.default if factory is msgspec.NODEFAULT else factory()
    return f"`{written(value, key.kind.expected)}`"


def written(value: Any, expected: str = "") -> str:
    """Return a value as it is written in the configuration; `expected` is its kind's."""
    match value:
        case bool() | dict():
            return json.dumps(value)
        case tuple() | list():
            return f"[{', '.join(map(written, value))}]"
        case int() | float() if expected.startswith("a duration"):
            return f'"{units.format_duration(value)}"'
        case int() if expected.startswith("a size"):
            return f'"{units.format_size(value)}"'
        case int():
            return str(value)
        case _:
            return json.dumps(str(value))


def later() -> str:
    """Return the keys that are understood, but whose work is not built yet."""
    rows = ((f"`{row.key}`", prose(row.message)) for row in UNAVAILABLE)
    return table(("key", "what the server says"), rows)


def hooks() -> str:
    """Return the hooks, their arguments and the replies for a bare deny() and defer()."""
    rows = (
        (f"`{name}`", f"`{hook.arguments}`", _reply(hook.deny), _reply(hook.defer))
        for name, hook in HOOKS.items()
    )
    return table(("hook", "arguments", "`deny()`", "`defer()`"), rows)


def notifications() -> str:
    """Return the notifications and their arguments."""
    rows = ((f"`on_{name}`", f"`{arguments}`") for name, arguments in NOTIFICATIONS.items())
    return table(("method", "arguments"), rows)


def _reply(one: Reply) -> str:
    return f"`{one}`" + (", then closes" if one.close else "")


def sequence() -> str:
    """Return which command may come when, and where it leads."""
    return table(("command", *(state.name for state in State), "junk"), _sequence_rows())


def _sequence_rows() -> Rows:
    for verb, row in TRANSITIONS.items():
        command = COMMANDS.get(verb) or OFFERED_COMMANDS[verb]
        junk = "yes" if command.flags & Flags.JUNK else ""
        yield verb, *map(_following, row), junk
    for last, name in enumerate(("BDAT, refused", "BDAT LAST, refused")):
        yield name, *(after[last].name for after in AFTER_REFUSED_BDAT), ""


def _following(cell: State | Reply) -> str:
    if isinstance(cell, State):
        return cell.name
    return f"{cell.code} {cell.text.removeprefix(_OUT_OF_ORDER)}"


def extensions() -> str:
    """Return what EHLO offers by default."""
    answer = Reply(250, "\n".join(("mx.example.com", *setup.keywords(LimitsConfig()))))
    return f"```text\n{answer}\n```\n"


# The limits that cannot be configured, with what stands for them in the code.
FIXED: tuple[tuple[str, str, str], ...] = (
    ("local part of an address", f"{address.MAX_LOCAL} characters", "501"),
    ("domain of an address", f"{address.MAX_DOMAIN} characters", "501"),
    ("line of a reply", f"{reply.MAX_LINE} octets", "cut short"),
    ("lines of a reply", str(reply.MAX_LINES), "cut short"),
    (
        "octets of a message that is too long, read and dropped",
        f"{content.SWALLOW_FACTOR} times `limits.message_size`",
        "552, then closes",
    ),
    (
        "octets read ahead of what is being decided",
        units.format_size(connection.MAX_UNREAD),
        "reading stops until then",
    ),
    (
        "wait for a client to close after a last reply",
        units.format_duration(connection.LINGER),
        "closes",
    ),
    ("line of a list", units.format_size(entry.MAX_LINE), "not an entry"),
    ("regular expressions of a list", str(addresses.MAX_PATTERNS), "not an entry"),
    (
        "list of addresses kept in memory, longer ones have an index file",
        units.format_size(file.INDEX_ABOVE),
        "indexed",
    ),
)


def fixed() -> str:
    """Return the limits that cannot be configured."""
    rows = ([*row] for row in FIXED)
    return table(("limit", "value", "beyond it"), rows)


PARTS: dict[str, Callable[[], str]] = {
    "keys": keys,
    "later": later,
    "hooks": hooks,
    "notifications": notifications,
    "sequence": sequence,
    "extensions": extensions,
    "fixed": fixed,
}


if __name__ == "__main__":
    sys.exit(main())
