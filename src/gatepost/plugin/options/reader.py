"""Read the options of a plugin from the configuration, or from keyword arguments.

All problems are collected: unknown options, missing ones and values of another type. Paths and
lists are relative to the place of the plugin, also those of defaults.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec.structs import FieldInfo

from gatepost.config.problem import Location, Problem, quote
from gatepost.lists.reloadable import ReloadableFile
from gatepost.plugin.options.kinds import READERS, File, TableName
from gatepost.plugin.options.lists import OptionList
from gatepost.plugin.options.words import describe_error, expected, type_name
from gatepost.plugin.place import Place

_Options = TypeVar("_Options", bound=msgspec.Struct)
_Kind = TypeVar("_Kind")


class OptionsError(ValueError):
    """Options that are unknown, missing or of the wrong type; `problems` has a line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = list(problems)


def read_options(given: Mapping[str, Any], options: type[_Options], place: Place) -> _Options:
    """Return the options of a plugin, of the class `options`; raises `OptionsError`."""
    root = place.location
    fields = _fields(options, root)
    _refuse_unknown(given, [field.encode_name for field in fields], options, root)
    values = {
        field.name: _value(field, given, place, root.member(field.encode_name)) for field in fields
    }
    _raise_problems(root)
    try:
        return options(**values)
    except (ValueError, TypeError) as error:  # of its __post_init__
        root.report(str(error))
        raise OptionsError(root.problems) from error


def _raise_problems(root: Location) -> None:
    if root.problems:
        raise OptionsError(root.problems)


def _fields(options: type[msgspec.Struct], root: Location) -> tuple[FieldInfo, ...]:
    """Return the fields; raises `OptionsError` for an annotation that names nothing."""
    try:
        return msgspec.structs.fields(options)
    except (NameError, TypeError) as error:
        root.report(f"class Options has a type that cannot be used: {error}")
        raise OptionsError(root.problems) from error


def _refuse_unknown(
    given: Mapping[str, Any], known: Sequence[str], options: type, root: Location
) -> None:
    for name in given:
        if name not in known:
            root.member(name).report(f"unknown option; {_hint(name, known, options)}")


def _hint(name: str, known: Sequence[str], options: type) -> str:
    if not known:
        return "the plugin has no options"
    if name.isidentifier() and name in vars(options):
        return f"in class Options it needs a type, such as {name}: int"
    import difflib  # noqa: PLC0415 - only for an error

    close = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {quote(close[0])}? The" if close else "the"
    return f"{meant} options are: {', '.join(known)}"


def _value(field: FieldInfo, given: Mapping[str, Any], place: Place, location: Location) -> Any:
    """Return the value of a field, or report to `location`."""
    if field.encode_name in given:
        return _converted(given[field.encode_name], field.type, place, location)
    if field.required:
        return location.report_mismatch(expected(field.type), "nothing")
    factory = field.default_factory
    value = field.default if factory is msgspec.NODEFAULT else factory()
    # A default is relative to the place too, and may be in the form of the configuration.
    kind = type(value) if type(value) in READERS else field.type
    return _converted(value, kind, place, location) if kind in READERS else value


def _converted(value: Any, kind: Any, place: Place, location: Location) -> Any:
    try:
        return msgspec.convert(value, kind, dec_hook=_reader(place))
    except msgspec.ValidationError as error:
        path, text = describe_error(error, kind, value)
        inside = place.location
        inside.key, inside.problems = f"{location.key}{path}", location.problems
        inside.report(text)
    except TypeError as error:
        location.report(f"class Options has a type that cannot be used: {error}")
    return None


def _reader(place: Place) -> Callable[[type, Any], object]:
    def read(kind: type, value: Any) -> object:
        reader = READERS.get(kind)
        if reader is not None:
            return reader(value, place)
        if isinstance(value, kind):
            return value
        raise ValueError(f"expected a value of the type {type_name(kind)}")

    return read


def list_files(options: object) -> Iterator[ReloadableFile[Any]]:
    """Yield the files of the lists in the options of a plugin."""
    for _, value in _values(options):
        if isinstance(value, OptionList):
            yield from value.files


def missing_files(options: object, place: Place, but: object = None) -> Iterator[str]:
    """Yield a problem for each option of the kind `File` whose file does not exist.

    Options with the same value in `but` are left out.
    """
    for path, file in _changed(options, but, File):
        found = _why_missing(file)
        if found:
            location = _inside(place, path)
            location.report_mismatch("a file", found)
            yield str(location.problems[0])


def table_problems(
    options: object, place: Place, open_table: Callable[[str], object], but: object = None
) -> Iterator[str]:
    """Open the table of each option of the kind `TableName`; yield a problem for a wrong one.

    Options with the same value in `but` are left out.
    """
    for path, name in _changed(options, but, TableName):
        try:
            open_table(name)
        except ValueError as error:
            location = _inside(place, path)
            location.report(str(error))
            yield str(location.problems[0])


def _changed(options: object, but: object, kind: type[_Kind]) -> Iterator[tuple[str, _Kind]]:
    """Yield path and value of each option of a kind that does not have the same value in `but`."""
    others = dict(_values(but))
    for path, value in _values(options):
        if isinstance(value, kind) and value != others.get(path):
            yield path, value


def _inside(place: Place, path: str) -> Location:
    location = place.location
    location.key += path if location.key else path.removeprefix(".")
    return location


def _why_missing(file: File) -> str:
    """Return what was found instead of a file, "" if it exists."""
    try:
        return "" if file.is_file() else f"no file {file}"
    except (OSError, ValueError) as error:  # such as a folder that may not be entered
        return f"{file}, which cannot be read: {getattr(error, 'strerror', error)}"


def _values(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield the values in a struct, also in its tables and arrays, with their path."""
    if isinstance(value, msgspec.Struct):
        for field in value.__struct_fields__:
            yield from _values(getattr(value, field), f"{path}.{field}")
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from _values(one, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, one in enumerate(value):
            yield from _values(one, f"{path}[{index}]")
    else:
        yield path, value
