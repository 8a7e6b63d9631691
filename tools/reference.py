"""Generate the parts of the documentation that come from the code: `python tools/reference.py`.

The pages in docs/ are written by hand, except for the text between `<!-- generated: NAME -->` and
`<!-- generated: end -->`. That text comes from the function of that name in PARTS. Run this script
after a change of the configuration schema, the hooks, the order of commands or a limit. A test
fails if a page is out of date.
"""

import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo

from gatepost.config import kinds, units
from gatepost.config.kinds import ArrayKind, Key, MappingKind, OrFalse, TableKind
from gatepost.config.schema import Config, LimitsConfig
from gatepost.importers.equivalents import SERVERS
from gatepost.ledger import records
from gatepost.lists import entry, file, patterns
from gatepost.metrics.families import METRICS
from gatepost.model import address, reply
from gatepost.model.reply import Reply
from gatepost.plugin.contract import arguments
from gatepost.plugin.hooks import HOOKS, NOTIFICATIONS
from gatepost.plugin.loader import builtin_names, find_plugin
from gatepost.plugin.options.about import about_options
from gatepost.plugin.options.words import expected, shown_default
from gatepost.server import deadlines, pump
from gatepost.session.hook_modes import NEVER, points
from gatepost.session.steps import offer
from gatepost.web.api.operations import OPERATIONS, Operation
from gatepost.web.api.parameters import PARAMETERS
from gatepost.web.problems import BASE
from gatepost.wire.smtp import content
from gatepost.wire.smtp.agreed import State
from gatepost.wire.smtp.commands import (
    AFTER_REFUSED_BDAT,
    COMMANDS,
    OFFERED_COMMANDS,
    TRANSITIONS,
    Flags,
)

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools import equivalents  # noqa: E402 - found by the line above

DOCS = ROOT / "docs"
EXAMPLES = ROOT / "examples"

_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- generated: end -->)", re.DOTALL)
_MARKDOWN = re.compile(r"([*|<\\])")
_OUT_OF_ORDER = "Bad sequence of commands: "

Rows = Iterator[Sequence[str]]


def main() -> int:
    """Update every page; print the pages that have changed."""
    for path in pages():
        old = path.read_text("utf-8")
        new = renewed(old)
        if new != old:
            path.write_text(new, "utf-8")
            print(f"{path} updated")
    return 0


def pages() -> list[Path]:
    """Return the pages that have generated parts."""
    return [path for path in sorted(DOCS.rglob("*.md")) if _PART.search(path.read_text("utf-8"))]


def renewed(page: str) -> str:
    """Return a page with up-to-date generated parts; raises KeyError for an unknown part."""
    return _PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n{part[3]}", page)


def prose(text: str) -> str:
    """Return plain text as Markdown, also for a cell of a table."""
    return _MARKDOWN.sub(r"\\\1", text)


def table(header: Sequence[str], rows: Rows) -> str:
    """Return a Markdown table."""
    lines = (header, ["---"] * len(header), *rows)
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def keys() -> str:
    """Return the keys of the configuration, one section per table."""
    return "\n".join(_sections())


def _sections() -> Iterator[str]:
    for field, key in kinds.keys(Config):
        struct, name = _struct_of(key.kind), field.encode_name
        yield f"## `{_heading(key.kind, name)}`\n\n{prose(key.about)}\n"
        yield from _section(struct)


def _heading(kind: kinds.ValueKind, name: str) -> str:
    match kind:
        case ArrayKind():
            return f"[[{name}]]"
        case MappingKind():
            return f"[{name}.NAME]"
        case _:
            return f"[{name}]"


def _section(struct: type[msgspec.Struct]) -> Iterator[str]:
    """Yield the table of keys, followed by the tables of nested keys."""
    found = list(kinds.keys(struct))
    rows = (_key_row(field, key) for field, key in found)
    yield table(("key", "value", "default", "description"), iter(rows))
    for field, key in found:
        if isinstance(key.kind, ArrayKind) and isinstance(key.kind.of, TableKind):
            yield f"Each item of `{field.encode_name}`:\n"
            yield from _section(key.kind.of.struct)
        elif isinstance(key.kind, OrFalse) and isinstance(key.kind.of, TableKind):
            yield f"The keys of `{field.encode_name}`:\n"
            yield from _section(key.kind.of.struct)
        elif isinstance(key.kind, TableKind):
            yield f"The keys of `{field.encode_name}`:\n"
            yield from _section(key.kind.struct)


def _struct_of(kind: kinds.ValueKind) -> type[msgspec.Struct]:
    inner = kind.of if isinstance(kind, ArrayKind | MappingKind) else kind
    assert isinstance(inner, TableKind)
    return inner.struct


def _key_row(field: FieldInfo, key: Key) -> Sequence[str]:
    words = [prose(key.about)]
    if key.why:
        words.append(f"*Default:* {prose(key.why)}")
    return f"`{field.encode_name}`", prose(key.kind.expected), _default(field, key), " ".join(words)


def _default(field: FieldInfo, key: Key) -> str:
    if field.required:
        return "none, required"
    if isinstance(key.kind, TableKind | OrFalse):
        return "`{}`"
    factory = field.default_factory
    value = field.default if factory is msgspec.NODEFAULT else factory()
    return "none" if value is None else f"`{kinds.to_toml(key.kind, value)}`"


def hooks() -> str:
    """Return the hooks, their arguments and the replies of deny() and defer() without text."""
    rows = (
        (f"`{name}`", f"`{_arguments(name)}`", _reply(hook.deny), _reply(hook.defer))
        for name, hook in HOOKS.items()
    )
    return table(("hook", "arguments", "`deny()`", "`defer()`"), rows)


def notifications() -> str:
    """Return the notifications and their arguments."""
    rows = ((f"`on_{name}`", f"`{_arguments(name)}`") for name in NOTIFICATIONS)
    return table(("method", "arguments"), rows)


def hook_modes() -> str:
    """Return the points of a session that each protocol reaches."""
    rows = (
        (f"`{point}`", *(_reached(missing.get(point)) for missing in NEVER.values()))
        for point in points()
    )
    return table(("hook, question or notification", *NEVER), rows)


def _reached(why_not: str | None) -> str:
    return "yes" if why_not is None else f"no: {why_not}"


def _arguments(hook: str) -> str:
    return ", ".join(arguments(f"on_{hook}"))


def _reply(one: Reply) -> str:
    return f"`{one}`" + (", then closes" if one.close else "")


def sequence() -> str:
    """Return the table of commands: the next state or the reply in each state."""
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
    """Return the EHLO reply of the default configuration."""
    answer = Reply(250, "\n".join(("mx.example.com", *offer.keywords(LimitsConfig()))))
    return f"```text\n{answer}\n```\n"


# The limits that cannot be configured, with their constants in the code.
FIXED: tuple[tuple[str, str, str], ...] = (
    ("local part of an address", f"{address.MAX_LOCAL} characters", "501"),
    ("domain of an address", f"{address.MAX_DOMAIN} characters", "501"),
    ("line of a reply", f"{reply.MAX_LINE} octets", "truncated"),
    ("lines of a reply", str(reply.MAX_LINES), "truncated"),
    (
        "octets of a message over the limit that are read and dropped",
        f"{content.DISCARD_FACTOR} times `limits.message_size`",
        "552, then closes",
    ),
    (
        "octets read ahead during a decision",
        units.format_size(pump.MAX_UNREAD),
        "reading stops",
    ),
    (
        "wait for the client to close after the last reply",
        units.format_duration(deadlines.LINGER),
        "closes",
    ),
    ("line of a list", units.format_size(entry.MAX_LINE), "bad line"),
    ("regular expressions of a list", str(patterns.MAX_PATTERNS), "bad line"),
    ("length of one, in RE2 instructions", f"{patterns.MAX_PROGRAM:,}", "bad line"),
    ("length of all together", f"{patterns.MAX_PROGRAMS:,}", "bad line"),
    (
        "address list kept in memory",
        units.format_size(file.INDEX_ABOVE),
        "an index file is built",
    ),
)


def metrics() -> str:
    """Return the metrics with their labels."""
    rows = (
        (f"`{name}`", one.kind, ", ".join(f"`{label}`" for label in one.labels), prose(one.text))
        for name, one in METRICS.items()
    )
    return table(("metric", "kind", "labels", "meaning"), rows)


def fixed() -> str:
    """Return the limits that cannot be configured."""
    rows = ([*row] for row in FIXED)
    return table(("limit", "value", "effect"), rows)


# The plugins of the cookbook, files in examples/.
RECIPES = (
    "rspamd_check",
    "clamd_scan",
    "sql_recipients",
    "ldap_recipients",
    "attachments",
    "tag_external",
    "aliases",
    "decision_log",
    "status_verb",
    "prometheus",
    "spam_opt_in",
)


def recipe(name: str) -> str:
    """Return the code of an example."""
    code = (EXAMPLES / f"{name}.py").read_text("utf-8")
    return f"```python\n# {name}.py\n{code}```\n"


def shipped() -> str:
    """Return the shipped plugins with what they do, each with a link to its page."""
    rows = ([f"[{name}](shipped/{name}.md)", about] for name, about in _shipped())
    return table(("plugin", "what it does"), rows)


def _shipped() -> Iterator[tuple[str, str]]:
    for name in sorted(builtin_names()):
        plugin, _ = find_plugin(name, ROOT)
        about = inspect.getdoc(inspect.getmodule(plugin)) or ""
        yield name, prose(about.partition("\n")[0])


def options(name: str) -> str:
    """Return the options of a shipped plugin; raises `PluginError`."""
    plugin, _ = find_plugin(name, ROOT)
    about = about_options(plugin.Options)
    rows = (
        [f"`{one.encode_name}`", prose(expected(one.type)), _option_default(one), about[one.name]]
        for one in msgspec.structs.fields(plugin.Options)
    )
    return table(("option", "value", "default", "meaning"), rows)


def _option_default(field: FieldInfo) -> str:
    if field.required:
        return "required"
    factory = field.default_factory
    value = field.default if factory is msgspec.NODEFAULT else factory()
    return f"`{shown_default(value)}`"


def plugins_of(server: str) -> str:
    """Return the plugins of another server, with what does their work here."""
    return table(("plugin", "what it does there", "here"), equivalents.rows(server))


# The structs of the ledger's records, and those within them.
RECORDS = (
    *(records.Connection, records.Transaction, records.Delivery, records.Notice, records.Gap),
    *(records.Client, records.Answer, records.RecipientRecord, records.Trap),
    records.PluginResult,
)


def ledger() -> str:
    """Return the fields of the ledger's records, one section per struct."""
    return "\n".join(_record_section(struct) for struct in RECORDS)


def _record_section(struct: type[msgspec.Struct]) -> str:
    rows = ((f"`{one.name}`", _type_name(one.type)) for one in msgspec.structs.fields(struct))
    name = struct.__struct_config__.tag or struct.__name__.removesuffix("Record")
    about = prose(inspect.cleandoc(struct.__doc__ or ""))
    return f"### {str(name).capitalize()}\n\n{about}\n\n{table(('field', 'value'), rows)}"


# The names of types for readers who use other languages.
_TYPES: dict[object, str] = {str: "text", float: "number", int: "integer", bool: "true or false"}


def _type_name(kind: Any) -> str:
    """Return a type in words: "list of text", "object of text", or the name of a section."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(f'`"{value}"`' for value in arguments)
    if origin is Sequence:
        return f"list of {_type_name(arguments[0])}"
    if origin is Mapping:
        return f"object of {_type_name(arguments[1])}"
    if origin is UnionType:
        return " or ".join(map(_type_name, arguments))
    return _TYPES.get(kind) or kind.__name__.removesuffix("Record").lower()


def api() -> str:
    """Return the operations of the HTTP API, with their parameters and bodies."""
    rows = (
        (f"`{one.method} {BASE}{one.path}`", prose(one.about), _takes(one), one.role)
        for one in OPERATIONS
    )
    return table(("operation", "result", "parameters", "role"), rows)


def _takes(operation: Operation) -> str:
    body = msgspec.structs.fields(operation.body) if operation.body else ()
    names = [*operation.parameters, *(one.name for one in body)]
    return ", ".join(f"`{name}`" for name in names)


def api_parameters() -> str:
    """Return the parameters of the HTTP API."""
    rows = ((f"`{name}`", prose(one.about)) for name, one in PARAMETERS.items())
    return table(("parameter", "meaning"), rows)


PARTS: dict[str, Callable[[], str]] = {
    "api": api,
    "api_parameters": api_parameters,
    "keys": keys,
    "hooks": hooks,
    "notifications": notifications,
    "hook_modes": hook_modes,
    "sequence": sequence,
    "extensions": extensions,
    "fixed": fixed,
    "ledger": ledger,
    "metrics": metrics,
    "shipped": shipped,
    **{
        f"plugins_of_{server}": functools.partial(plugins_of, name)
        for server, name in SERVERS.items()
    },
    **{name: functools.partial(recipe, name) for name in RECIPES},
    **{f"options_{name}": functools.partial(options, name) for name in builtin_names()},
}


if __name__ == "__main__":
    sys.exit(main())
