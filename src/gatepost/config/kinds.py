"""Kinds of configuration values: how each is read, and what to say when it cannot be.

Theory of operation: a kind turns what TOML gave (or what a program put into a struct) into the
typed value, or reports to its `Place` what was expected and found, and gives None; the caller
goes on with the next key and throws the result away if anything was reported. Reading a value
that is typed already gives the same value, so a configuration built in code passes the same
checks.
"""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec.structs import FieldInfo

from gatepost.config.problem import Location, format_value, quote
from gatepost.config.units import format_duration, format_size, parse_duration, parse_size

NOTHING = "nothing"


class ValueKind(Protocol):
    """A kind of value; `expected` completes "expected …" in messages and reference."""

    @property
    def expected(self) -> str:
        """What a value of this kind looks like."""

    def read(self, value: object, location: Location) -> Any:
        """Return the typed value, or report to `location` and return None."""


class Key(msgspec.Struct, frozen=True):
    """What the schema says of a field beside its type and default.

    `kind` reads it, `about` says in a sentence what it does and in which unit, `why` gives the
    reason for the default. The reference is made from these.
    """

    kind: ValueKind
    about: str
    why: str = ""


class ScalarKind(msgspec.Struct, frozen=True):
    """A single value; `convert` returns it typed and raises ValueError for any other."""

    expected: str
    convert: Callable[[object], Any]

    def read(self, value: object, location: Location) -> Any:
        """See `Kind.read`."""
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
        """See `Kind.expected`."""
        return f"an array, each item {self.of.expected}"

    def read(self, value: object, location: Location) -> Any:
        """See `Kind.read`."""
        if not isinstance(value, list | tuple):
            location.report_mismatch(self.expected, format_value(value))
            return None
        typed = tuple(self.of.read(item, location.item(at)) for at, item in enumerate(value))
        location.values.append((location, typed))
        return typed


class TableKind(msgspec.Struct, frozen=True):
    """A table: a struct of the schema, key by key; a key it does not have is refused."""

    struct: type[msgspec.Struct]

    @property
    def expected(self) -> str:
        """See `Kind.expected`."""
        return "a table"

    def read(self, value: object, location: Location) -> Any:
        """See `Kind.read`."""
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
    """Yield the fields of a schema struct that may be configured, in order, with their `Key`."""
    for field in msgspec.structs.fields(struct):
        for note in getattr(field.type, "__metadata__", ()):
            if isinstance(note, Key):
                yield field, note


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
            location.member(str(name)).report(f"unknown key, {_hint(str(name), known)}")


def _hint(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {quote(close[0])}?" if close else f"expected one of {', '.join(known)}"


def integer(low: int, high: int) -> ScalarKind:
    """Return the kind of whole numbers in a range."""

    def convert(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError
        return value

    return ScalarKind(f"a whole number from {low} to {high}", convert)


def duration(low: str, high: str) -> ScalarKind:
    """Return the kind of durations in a range; read as seconds."""
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
    )


def size(low: str, high: str) -> ScalarKind:
    """Return the kind of sizes in a range; read as octets."""
    least, most = parse_size(low), parse_size(high)

    def convert(value: object) -> int:
        octets = parse_size(value)
        if not least <= octets <= most:
            raise ValueError
        return octets

    return ScalarKind(
        f'a size from {format_size(least)} to {format_size(most)} such as "10KB" or "25MiB"',
        convert,
    )


def choice(*words: str) -> ScalarKind:
    """Return the kind of a choice between words."""

    def convert(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise ValueError
        return value

    *first, last = map(quote, words)
    return ScalarKind(f"{', '.join(first)} or {last}", convert)


def string(expected: str, convert: Callable[[str], Any]) -> ScalarKind:
    """Return the kind of strings that `convert` takes; it raises ValueError for others."""

    def convert_text(value: object) -> Any:
        if not isinstance(value, str):
            raise ValueError  # noqa: TRY004 - the one way a converter says no
        return convert(value)

    return ScalarKind(expected, convert_text)


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError  # noqa: TRY004 - the one way a converter says no
    return value


BOOLEAN = ScalarKind("true or false", _boolean)


class AnyTable(msgspec.Struct, frozen=True):
    """A table whose keys someone else checks; read as a dict."""

    @property
    def expected(self) -> str:
        """See `Kind.expected`."""
        return "a table"

    def read(self, value: object, location: Location) -> Any:
        """See `Kind.read`."""
        if not isinstance(value, Mapping):
            location.report_mismatch(self.expected, format_value(value))
            return None
        return dict(value)
