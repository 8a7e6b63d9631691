"""Options of plugins: kinds of values, defaults, and the errors for all others."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost import AddressList, Duration, File, Plugin, Secret, Size, field
from gatepost.config.problem import Problem
from gatepost.log.render import render_json, render_text
from gatepost.plugin.options.reader import OptionsError, list_files, missing_files, read_options
from gatepost.plugin.place import Place


class Inner(msgspec.Struct):
    wait: Duration = Duration(1)


class Options(Plugin.Options):
    wait: Duration = Duration("5m")
    most: Size = Size("25MiB")
    key: Secret = Secret()
    file: File = File("default.txt")
    path: Path = Path("db")
    bad: AddressList = AddressList("file:bad")
    waits: tuple[Duration, ...] = ()
    keys: tuple[Secret, ...] = ()
    by_name: dict[str, Size] = field(default_factory=dict)
    day: int = 0
    maybe: int | None = None
    mode: Literal["a", "b"] = "a"
    modes: tuple[Literal["a", "b"], ...] = ()
    low: Annotated[int, msgspec.Meta(ge=0)] = 0
    inner: Inner = field(default_factory=Inner)
    others: AddressList | None = None


PLACE = Place(Path("/etc/gp"), Path("/var/gp"), "gatepost.toml", "plugin[0].options")


def read(options=Options, place=PLACE, **given):
    return read_options(given, options, place)


def problems(options=Options, place=PLACE, **given):
    with pytest.raises(OptionsError) as caught:
        read_options(given, options, place)
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return [str(one) for one in caught.value.problems]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("5m", 300), ("250ms", 0.25), (7, 7), (1.5, 1.5), ("0", 0), (Duration("1h"), 3600)],
)
def test_durations_are_seconds(value, seconds):
    assert read(wait=value).wait == seconds
    assert type(read(wait=value).wait) is Duration


@pytest.mark.parametrize(("value", "octets"), [("25MiB", 26214400), ("10KB", 10000), (5, 5)])
def test_sizes_are_octets(value, octets):
    assert read(most=value).most == octets
    assert type(read(most=value).most) is Size


def test_units_are_written_as_in_the_configuration():
    assert (str(Duration(300)), str(Size(1024))) == ("5m", "1KiB")


@pytest.mark.parametrize("kind", [Duration, Size])
@pytest.mark.parametrize("value", ["", "5 parsecs", -1, True])
def test_other_units_raise_value_error(kind, value):
    with pytest.raises(ValueError, match=r"^expected a "):
        kind(value)


def test_defaults_have_the_type_of_their_option():
    class Untyped(Plugin.Options):
        wait: Duration = "5m"
        most: Size = 10
        bad: AddressList = ("a@example.com",)
        names: tuple[str, ...] = field(default_factory=lambda: ("x",))

    options = read(Untyped)
    assert (options.wait, options.most, options.names) == (300, 10, ("x",))
    assert "a@example.com" in options.bad


def test_a_wrong_default_is_a_problem():
    class Wrong(Plugin.Options):
        wait: Duration = "soon"

    assert problems(Wrong) == [
        (
            'gatepost.toml: plugin[0].options.wait: expected a duration such as "90s" or "5m",'
            ' found "soon"'
        )
    ]


def test_relative_paths_start_at_the_folder_of_the_configuration():
    options = read(file="x/y", path="/z")
    assert (options.file, options.path) == (Path("/etc/gp/x/y"), Path("/z"))
    assert type(options.file) is File
    options = read()
    assert (options.file, options.path) == (Path("/etc/gp/default.txt"), Path("/etc/gp/db"))
    assert [one.path for one in options.bad.files] == [Path("/etc/gp/bad")]


def test_files_that_do_not_exist_are_named(tmp_path):
    class Files(Plugin.Options):
        one: File
        more: tuple[File, ...] = ()
        named: dict[str, File] = field(default_factory=dict)

    (tmp_path / "here").touch()
    place = Place(tmp_path, source="gatepost.toml", key="plugin[0].options")
    options = read(Files, place, one="gone", more=["here", "gone"], named={"x": "gone"})
    found = f"expected a file, found no file {tmp_path}/gone"
    assert list(missing_files(options, place)) == [
        f"gatepost.toml: plugin[0].options.one: {found}",
        f"gatepost.toml: plugin[0].options.more[1]: {found}",
        f"gatepost.toml: plugin[0].options.named.x: {found}",
    ]
    first, *_ = missing_files(options, Place(tmp_path, source="Mine"))
    assert first == f"Mine: one: {found}"


def test_the_lists_of_options_are_found():
    options = read(others=["file:others", "a@example.com"])
    assert [one.path.name for one in list_files(options)] == ["bad", "others"]
    assert list(list_files(None)) == []


# secrets


def test_a_secret_is_text_or_the_first_line_of_a_file(tmp_path):
    (tmp_path / "key").write_text("hunter2\nmore\n")
    place = Place(tmp_path)
    assert read(key="hunter3", place=place).key == "hunter3"
    assert read(key="file:key", place=place).key == "hunter2"

    class WithDefault(Plugin.Options):
        key: Secret = Secret("file:key")

    assert read(WithDefault, place).key == "hunter2"


def test_a_secret_is_not_shown():
    options = read(key="hunter2", keys=["hunter3"])
    event = {"event": "x", "key": options.key, "options": options}
    shown = [repr(options)]
    shown += [str(event), str(render_text(_Named, "info", dict(event)))]
    shown.append(str(render_json(_Named, "info", dict(event))))
    assert [one for one in shown if "hunter" in one] == []


class _Named:
    name = "x"


@pytest.mark.parametrize(
    "given",
    [{"key": 12345}, {"key": ["hunter2"]}, {"keys": "hunter2"}, {"keys": [12345]}],
)
def test_no_error_shows_a_secret(given):
    (problem,) = problems(**given)
    assert "hunter" not in problem
    assert "12345" not in problem
    assert "expected a" in problem


def test_a_secret_file_that_cannot_be_read_is_a_problem(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    place = Place(tmp_path, source="gatepost.toml", key="plugin[0].options")
    reasons = {
        "gone": "cannot be read: No such file or directory",
        "empty": "expected a secret of 1 to 1024 characters",
        "binary": "expected UTF-8",
    }
    for name, reason in reasons.items():
        assert problems(place=place, key=f"file:{name}") == [
            f"gatepost.toml: plugin[0].options.key: {tmp_path}/{name}: {reason}"
        ]
    assert "without NUL" in problems(key="file:a\0b")[0]


# errors


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"day": "x"}, '.day: expected a whole number, found "x"'),
        ({"day": True}, ".day: expected a whole number, found true"),
        ({"day": {}}, ".day: expected a whole number, found a table"),
        ({"maybe": "x"}, '.maybe: expected a whole number or nothing, found "x"'),
        ({"mode": "c"}, '.mode: expected "a" or "b", found "c"'),
        ({"modes": ["c"]}, """.modes[0]: invalid enum value 'c', found "c\""""),
        ({"low": -1}, ".low: expected a whole number >= 0, found -1"),
        ({"wait": "x"}, '.wait: expected a duration such as "90s" or "5m", found "x"'),
        ({"wait": []}, '.wait: expected a duration such as "90s" or "5m", found an array'),
        ({"most": 1.5}, '.most: expected a size such as "10KB" or "25MiB", found 1.5'),
        ({"waits": ["1s", "x"]}, '.waits[1]: expected a duration such as "90s" or "5m", found "x"'),
        ({"by_name": {"a": "x"}}, '[...]: expected a size such as "10KB" or "25MiB", found "x"'),
        ({"inner": {"wait": "x"}}, '.inner.wait: expected a duration such as "90s" or "5m"'),
        ({"file": ""}, '.file: expected a file name, found ""'),
        ({"path": 5}, ".path: expected a path, found 5"),
        (
            {"bad": 5},
            (
                '.bad: expected addresses such as "user@example.com" and "@example.com",'
                ' or "file:NAME", found 5'
            ),
        ),
        ({"bad": ["x"]}, '.bad: expected local-part@domain, @domain or /pattern/, found "x"'),
        ({"others": ["# x"]}, ".others: expected addresses "),
    ],
)
def test_a_wrong_value_is_reported_with_file_and_key(given, problem):
    (found,) = problems(**given)
    assert found.startswith("gatepost.toml: plugin[0].options")
    assert problem in found


def test_all_problems_are_reported():
    class Few(Plugin.Options):
        day: int
        hour: int = 0

    assert problems(Few, dya=1, hour="x", xyzzy=1) == [
        (
            'gatepost.toml: plugin[0].options.dya: unknown option; did you mean "day"?'
            " The options are: day, hour"
        ),
        "gatepost.toml: plugin[0].options.xyzzy: unknown option; the options are: day, hour",
        "gatepost.toml: plugin[0].options.day: expected a whole number, found nothing",
        'gatepost.toml: plugin[0].options.hour: expected a whole number, found "x"',
    ]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (tuple[str, ...], "an array"),
        (dict[str, int], "a table"),
        (Inner, "a table"),
        (int | None, "a whole number"),
        (int | str, "a whole number or text"),
        (Annotated[float, msgspec.Meta(ge=0)], "a number"),
        (Literal["a"], '"a"'),
        (File, "a file name"),
        (bytes, "a value of the type bytes"),
        (Mapping[str, int], "a value of the type Mapping[str, int]"),
    ],
)
def test_a_missing_option_is_described(kind, expected):
    options = msgspec.defstruct("Options", [("x", kind)], bases=(Plugin.Options,), kw_only=True)
    assert problems(options) == [
        f"gatepost.toml: plugin[0].options.x: expected {expected}, found nothing"
    ]


def test_an_option_without_a_type_is_explained():
    class Untyped(Plugin.Options):
        day: int = 0
        hour = 1

    assert problems(Untyped, hour=2) == [
        (
            "gatepost.toml: plugin[0].options.hour: unknown option;"
            " in class Options it needs a type, such as hour: int"
        )
    ]


def test_types_that_cannot_be_used_are_problems():
    class Unknown(Plugin.Options):
        x: "Nothing"  # noqa: F821

    class Both(Plugin.Options):
        x: Duration | File = Duration(0)

    class Other(Plugin.Options):
        x: range

    for options in (Unknown, Both):
        (problem,) = problems(options, x="5")
        assert "class Options has a type that cannot be used" in problem
    (problem,) = problems(Other, x="5")
    assert problem.endswith("x: expected a value of the type range")
    assert read(Other, x=range(3)).x == range(3)


def test_a_check_of_the_options_is_a_problem():
    class Checked(Plugin.Options):
        low: int = 0
        high: int = 1

        def __post_init__(self):
            if self.low > self.high:
                raise ValueError("expected low <= high")

    assert read(Checked).high == 1
    assert problems(Checked, low=2) == ["gatepost.toml: plugin[0].options: expected low <= high"]


def test_a_plugin_that_is_created_in_code_is_named():
    class Mine(Plugin):
        class Options(Plugin.Options):
            day: int = 0

    with pytest.raises(OptionsError) as caught:
        Mine(dya=1)
    assert caught.value.problems == [
        Problem("Mine", "dya", 'unknown option; did you mean "day"? The options are: day')
    ]
    assert Mine().path("x") == Path("x")
    assert Mine(day=2).options.day == 2


@pytest.mark.parametrize(
    ("options", "found"), [(type("Options", (), {}), "another base class"), (5, "5")]
)
def test_options_that_are_not_derived(options, found):
    class Mine(Plugin):
        Options = options

    with pytest.raises(OptionsError) as caught:
        Mine()
    assert str(caught.value) == (
        f"Mine: expected class Options(Plugin.Options) in the plugin, found {found}"
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = [one.name for one in msgspec.structs.fields(Options)]


@given(st.dictionaries(st.sampled_from([*NAMES, "x"]) | st.text(), JSON, max_size=4))
def test_any_value_is_read_or_reported(given):
    with contextlib.suppress(OptionsError):
        assert isinstance(read_options(given, Options, PLACE), Options)


def test_a_file_that_cannot_be_examined_is_named(tmp_path):
    class Files(Plugin.Options):
        text: File = File("x" * 300)

    place = Place(tmp_path, source="Mine")
    (problem,) = missing_files(read(Files, place), place)
    assert problem == (
        f"Mine: text: expected a file, found {tmp_path}/{'x' * 300}, which cannot be read:"
        " File name too long"
    )
