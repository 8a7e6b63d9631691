"""Kinds of configuration values: how to read each kind, and how to describe it in error messages.

Theory of operation: a kind converts a value from TOML (or from a struct built in code) to its typed
form. For a wrong value it reports the expected and the found value to its `Location` and returns
None. The reader then continues with the next key and discards the result if there was any report. A
value that is already typed is returned unchanged, so a configuration built in code passes the same
checks.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec.structs import FieldInfo

from gatepost.config.problem import Location, format_value, quote
from gatepost.config.units import format_duration, format_size, parse_duration, parse_size

NOTHING = "nothing"


class ValueKind(Protocol):
    """A kind of value; `expected` completes "expected …" in error messages and the docs."""

    @property
    def expected(self) -> str:
        """The description of a valid value."""

    def read(self, value: object, location: Location) -> Any:
        """Return the typed value, or report to `location` and return None."""


class Key(msgspec.Struct, frozen=True):
    """The metadata of a field of the schema, in addition to its type and default.

    `kind` reads the value, `about` describes the effect and the unit, `why` gives the reason for
    the default. docs/configuration.md is generated from them.
    """

    kind: ValueKind
    about: str
    why: str = ""


class ScalarKind(msgspec.Struct, frozen=True):
    """A single value; `convert` returns it typed or raises ValueError.

    `format` returns a typed value as it is written in the configuration, without quotes.
    """

    expected: str
    convert: Callable[[object], Any]
    format: Callable[[Any], str] = str

    def read(self, value: object, location: Location) -> Any:
        """See `ValueKind.read`."""
        try:
            typed = self.convert(value)
        except ValueError:
            location.report_mismatch(self.expected, format_value(value))
            return None
        location.values.append((location, typed))
        return typed


class ArrayKind(msgspec.Struct, frozen=True):
    """An array of values of one kind; read as a tuple."""

    of: ValueKind

    @property
    def expected(self) -> str:
        """See `ValueKind.expected`."""
        return f"an array, each item {self.of.expected}"

    def read(self, value: object, location: Location) -> Any:
        """See `ValueKind.read`."""
        if not isinstance(value, list | tuple):
            location.report_mismatch(*self._mismatch(value, location))
            return None
        typed = tuple(self.of.read(item, location.item(at)) for at, item in enumerate(value))
        location.values.append((location, typed))
        return typed

    def _mismatch(self, value: object, location: Location) -> tuple[str, str]:
        if isinstance(value, Mapping) and isinstance(self.of, TableKind):
            return f"[[{location.key}]]", f"[{location.key}]"
        return self.expected, format_value(value)


class TableKind(msgspec.Struct, frozen=True):
    """A table, read into a struct of the schema; unknown keys are errors."""

    struct: type[msgspec.Struct]

    @property
    def expected(self) -> str:
        """See `ValueKind.expected`."""
        return "a table"

    def read(self, value: object, location: Location) -> Any:
        """See `ValueKind.read`."""
        data = _as_mapping(value, self.struct)
        if data is None:
            location.report_mismatch(self.expected, format_value(value))
            return None
        fields = list(keys(self.struct))
        _refuse_unknown(data, [field.encode_name for field, _ in fields], location)
        values = {
            field.name: _read_key(field, key, data, location)
            for field, key in fields
            if field.required or field.encode_name in data
        }
        return None if location.problems else self.struct(**values)


def keys(struct: type[msgspec.Struct]) -> Iterator[tuple[FieldInfo, Key]]:
    """Yield the configurable fields of a schema struct, in order, with their `Key`."""
    for field in msgspec.structs.fields(struct):
        for note in getattr(field.type, "__metadata__", ()):
            if isinstance(note, Key):
                yield field, note


def to_toml(kind: ValueKind, value: Any) -> str:
    """Return a typed value in TOML syntax."""
    match kind:
        case ArrayKind():
            return f"[{', '.join(to_toml(kind.of, item) for item in value)}]"
        case ScalarKind() if not isinstance(value, bool):
            text = kind.format(value)
            bare = text.isdigit() or (isinstance(value, float) and text == f"{value:g}")
            return text if bare else json.dumps(text, ensure_ascii=False)
        case _:
            return json.dumps(value)


class MappingKind(msgspec.Struct, frozen=True):
    """A table with a value of one kind for each name of another kind; read as a dict.

    `key` returns the canonical form of a name. Two spellings of one name are an error.
    """

    names: ValueKind
    of: ValueKind
    key: Callable[[str], str] = str

    @property
    def expected(self) -> str:
        """See `ValueKind.expected`."""
        return "a table"

    def read(self, value: object, location: Location) -> Any:
        """See `ValueKind.read`."""
        if not isinstance(value, Mapping):
            location.report_mismatch(self.expected, format_value(value))
            return None
        typed: dict[str, Any] = {}
        for name, one in value.items():
            inside = location.member(str(name))
            if self.names.read(name, inside) is None:
                continue
            if self.key(name) in map(self.key, typed):
                inside.report("this name is there twice, in another spelling")
            typed[name] = self.of.read(one, inside)
        return typed


class OrFalse(msgspec.Struct, frozen=True):
    """A value of a kind, or false for none; read as None."""

    of: ValueKind

    @property
    def expected(self) -> str:
        """See `ValueKind.expected`."""
        return f"{self.of.expected}, or false"

    def read(self, value: object, location: Location) -> Any:
        """See `ValueKind.read`."""
        if value is False or value is None:
            return None
        if value is True:
            location.report_mismatch(self.expected, format_value(value))
            return None
        return self.of.read(value, location)


def _as_mapping(value: object, struct: type[msgspec.Struct]) -> Mapping[str, object] | None:
    if isinstance(value, struct):
        return {field.encode_name: getattr(value, field.name) for field, _ in keys(struct)}
    return value if isinstance(value, Mapping) else None


def _read_key(field: FieldInfo, key: Key, data: Mapping[str, object], location: Location) -> Any:
    inside = location.member(field.encode_name)
    if field.encode_name in data:
        return key.kind.read(data[field.encode_name], inside)
    return inside.report_mismatch(key.kind.expected, NOTHING)


def _refuse_unknown(data: Mapping[str, object], known: Sequence[str], location: Location) -> None:
    for name in data:
        if name not in known:
            inside = location.member(str(name))
            hint = _REPLACED.get(inside.pattern) or _hint(str(name), known)
            inside.report(f"unknown key, {hint}")


# Keys of earlier versions.
_REPLACED = {
    "smtp.lenient_paths": "replaced: lenient is the default, strict_paths = true is the opposite",
}


def _hint(name: str, known: Sequence[str]) -> str:
    import difflib  # noqa: PLC0415 - only for an error

    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {quote(close[0])}?" if close else f"expected one of {', '.join(known)}"


def integer(low: int, high: int) -> ScalarKind:
    """Return the kind of whole numbers within a range."""

    def convert(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError
        return value

    return ScalarKind(f"a whole number from {low} to {high}", convert)


def number(low: float, high: float) -> ScalarKind:
    """Return the kind of numbers within a range."""

    def convert(value: object) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise ValueError  # noqa: TRY004 - converters raise only ValueError
        if not low <= value <= high:
            raise ValueError
        return float(value)

    return ScalarKind(f"a number from {low:g} to {high:g}", convert, "{:g}".format)


def duration(low: str, high: str) -> ScalarKind:
    """Return the kind of durations within a range, read as seconds."""
    least, most = parse_duration(low), parse_duration(high)

    def convert(value: object) -> float:
        seconds = parse_duration(value)
        if not least <= seconds <= most:
            raise ValueError
        return seconds

    return ScalarKind(
        f"a duration from {format_duration(least)} to {format_duration(most)}"
        ' such as "90s" or "5m"',
        convert,
        format_duration,
    )


def size(low: str, high: str) -> ScalarKind:
    """Return the kind of sizes within a range, read as octets."""
    least, most = parse_size(low), parse_size(high)

    def convert(value: object) -> int:
        octets = parse_size(value)
        if not least <= octets <= most:
            raise ValueError
        return octets

    return ScalarKind(
        f'a size from {format_size(least)} to {format_size(most)} such as "10KB" or "25MiB"',
        convert,
        format_size,
    )


def choice(*words: str) -> ScalarKind:
    """Return the kind of a choice from several words."""

    def convert(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError
        return value

    *first, last = map(quote, words)
    return ScalarKind(f"{', '.join(first)} or {last}", convert)


def string(expected: str, convert: Callable[[str], Any]) -> ScalarKind:
    """Return the kind of strings that `convert` accepts without ValueError."""

    def convert_text(value: object) -> Any:
        if not isinstance(value, str):
            raise ValueError  # noqa: TRY004 - converters raise only ValueError
        return convert(value)

    return ScalarKind(expected, convert_text)


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError  # noqa: TRY004 - converters raise only ValueError
    return value


BOOLEAN = ScalarKind("true or false", _boolean)


class AnyTable(msgspec.Struct, frozen=True):
    """A table with arbitrary keys, which its user must check; read as a dict."""

    @property
    def expected(self) -> str:
        """See `ValueKind.expected`."""
        return "a table"

    def read(self, value: object, location: Location) -> Any:
        """See `ValueKind.read`."""
        if not isinstance(value, Mapping):
            location.report_mismatch(self.expected, format_value(value))
            return None
        return dict(value)
