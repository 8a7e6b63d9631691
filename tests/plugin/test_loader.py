"""Plugins by name: files, entry points, shipped plugins, and the errors for all others."""

import inspect
import sys
from pathlib import Path

import pytest

import gatepost.plugins
from gatepost.plugin.host import PluginError
from gatepost.plugin.loader import builtin_names, find_plugin, load_plugin
from gatepost.plugin.place import Place

GOOD = """
from gatepost import Plugin, deny

class Good(Plugin):
    class Options(Plugin.Options):
        day: int = 0

    def on_rcpt(self, tx, rcpt):
        return deny("no")
"""


@pytest.fixture
def file(tmp_path):
    def write(text, name="mine.py"):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


@pytest.fixture
def dist(tmp_path, monkeypatch):
    """Return a function that installs a package with an entry point for one test."""

    def install(name, module, text, target):
        site = tmp_path / "site"
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(text)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[gatepost.plugins]\n{name} = {target}\n")
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.delitem(sys.modules, module, raising=False)

    return install


def failure(use, base=Path(), options=None):
    with pytest.raises(PluginError) as caught:
        load_plugin(
            use, options or {}, Place(base, source="gatepost.toml", key="plugin[1].options")
        )
    return str(caught.value)


def test_a_file_relative_to_the_configuration(file, tmp_path):
    file(GOOD)
    plugin = load_plugin("mine.py", {"day": 3}, Place(tmp_path))
    assert plugin.name == "mine"
    assert plugin.options.day == 3
    assert type(plugin).__name__ == "Good"


def test_a_file_by_its_absolute_path(file):
    path = file(GOOD)
    assert load_plugin(str(path), {}, Place(Path("/nowhere"))).name == "mine"


def test_two_files_of_one_name_are_two_plugins(file, tmp_path):
    (tmp_path / "other").mkdir()
    file(GOOD)
    (tmp_path / "other" / "mine.py").write_text(GOOD.replace("Good", "Other"))
    first, _ = find_plugin("mine.py", tmp_path)
    second, _ = find_plugin("other/mine.py", tmp_path)
    assert [first.__name__, second.__name__] == ["Good", "Other"]


def test_imported_plugin_classes_do_not_count(file, tmp_path):
    path = file("from gatepost.testing import Capture\n" + GOOD)
    assert load_plugin(str(path), {}, Place(tmp_path)).options.day == 0


def test_a_missing_file(tmp_path):
    assert failure("gone.py", tmp_path) == f"plugin {tmp_path}/gone.py: no such file"


def test_a_folder_is_not_a_plugin_file(tmp_path):
    (tmp_path / "x.py").mkdir()
    assert failure("x.py", tmp_path) == f"plugin {tmp_path}/x.py: no such file"


def test_a_syntax_error(file, tmp_path):
    path = file("def on_rcpt(:\n")
    assert failure("mine.py", tmp_path) == (
        f"plugin {path}: import failed: {path}:1: SyntaxError: invalid syntax"
    )


def test_a_failed_import_leaves_no_module_behind(file, tmp_path):
    path = file("raise RuntimeError('no')")
    assert failure("mine.py", tmp_path) == (
        f"plugin {path}: import failed: {path}:1: RuntimeError: no"
    )
    assert not [
        name
        for name in sys.modules
        if name.startswith("gatepost_plugin_mine_")
        and getattr(sys.modules[name], "__file__", "") == str(path)
    ]


def test_a_file_without_a_plugin(file, tmp_path):
    path = file("from gatepost import Plugin\n")
    assert failure("mine.py", tmp_path) == (
        f"plugin {path}: expected one class derived from Plugin, found none"
    )


def test_a_file_with_two_plugins(file, tmp_path):
    path = file(GOOD + "\n\nclass Second(Plugin):\n    pass\n")
    assert failure("mine.py", tmp_path) == (
        f"plugin {path}: expected one class derived from Plugin, found Good, Second"
    )


def test_base_classes_do_not_count(file, tmp_path):
    text = "from gatepost import Plugin\n\nclass _Base(Plugin):\n    pass\n\n"
    text += "class Shared(_Base):\n    pass\n\nclass Mine(Shared):\n    pass\n\nAlias = Mine\n"
    file(text)
    assert find_plugin("mine.py", tmp_path)[0].__name__ == "Mine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dya": 1}, '.dya: unknown option; did you mean "day"? The options are: day'),
        ({"day": "x"}, '.day: expected a whole number, found "x"'),
    ],
)
def test_wrong_options(file, tmp_path, options, message):
    file(GOOD)
    assert failure("mine.py", tmp_path, options) == f"gatepost.toml: plugin[1].options{message}"


def test_missing_options(file, tmp_path):
    file(GOOD.replace("day: int = 0", "day: int"))
    assert failure("mine.py", tmp_path) == (
        "gatepost.toml: plugin[1].options.day: expected a whole number, found nothing"
    )


def test_an_exception_in_the_constructor(file, tmp_path):
    path = file(
        GOOD + "\n    def __init__(self, **options):\n        raise OSError('no database')\n"
    )
    assert failure("mine.py", tmp_path) == (
        f"plugin mine.py: __init__() failed: {path}:12: OSError: no database"
    )


def test_a_constructor_that_does_not_call_the_base_class(file, tmp_path):
    file(GOOD + "\n    def __init__(self, **options):\n        pass\n")
    assert failure("mine.py", tmp_path) == (
        "plugin mine.py: __init__() does not call super().__init__(**options)"
    )


def test_an_unknown_name():
    assert failure("greylisst") == (
        "plugin greylisst: not found, expected the name of a shipped plugin, an entry point of "
        "group gatepost.plugins, a path that ends in .py, or a folder such as plugins/greylisst/"
    )


def test_a_shipped_plugin(file, tmp_path, monkeypatch):
    file(GOOD, "gatepost_test_shipped.py")
    monkeypatch.setattr(gatepost.plugins, "__path__", [str(tmp_path)])
    assert list(builtin_names()) == ["gatepost_test_shipped"]
    plugin = load_plugin("gatepost_test_shipped", {}, Place(Path()))
    assert plugin.name == "gatepost_test_shipped"
    monkeypatch.delitem(sys.modules, "gatepost.plugins.gatepost_test_shipped")


def test_the_entry_point_of_a_class(dist):
    dist("from_class", "gp_test_class", GOOD, "gp_test_class:Good")
    plugin = load_plugin("from_class", {"day": 2}, Place(Path()))
    assert (plugin.name, plugin.options.day) == ("from_class", 2)


def test_the_entry_point_of_a_module(dist):
    dist("from_module", "gp_test_module", GOOD, "gp_test_module")
    assert load_plugin("from_module", {}, Place(Path())).name == "from_module"


def test_the_entry_point_of_another_object(dist):
    dist("from_value", "gp_test_value", "ANSWER = 42\n", "gp_test_value:ANSWER")
    assert failure("from_value") == (
        "plugin from_value: expected a class derived from Plugin, found 42"
    )


def test_an_entry_point_whose_import_fails(dist):
    dist("broken", "gp_test_broken", "import gp_no_such_module\n", "gp_test_broken")
    problem = failure("broken")
    assert problem.startswith("plugin broken: import failed: /")
    assert problem.endswith(
        "gp_test_broken.py:1: ModuleNotFoundError: No module named 'gp_no_such_module'"
    )


def test_the_current_folder_is_not_searched(file, tmp_path, monkeypatch):
    file(GOOD)
    monkeypatch.chdir(tmp_path)
    assert failure("mine").startswith("plugin mine: not found")


def test_a_list_as_default_is_an_error_that_names_the_tuple(file, tmp_path):
    file(GOOD.replace("day: int = 0", 'zones: list[str] = ["x"]'))
    assert failure("mine.py", tmp_path).endswith(
        " For the default of an option, use a tuple, or field(default_factory=...)."
    )


def test_the_place_is_known_in_the_constructor(file, tmp_path):
    file(
        GOOD + "\n    def __init__(self, **options):\n        super().__init__(**options)\n"
        "        self.bad = self.path('bad.txt')\n"
    )
    place = Place(tmp_path, tmp_path / "data")
    plugin = load_plugin("mine.py", {}, place)
    assert (plugin.bad, plugin.path("/x")) == (tmp_path / "bad.txt", Path("/x"))
    assert plugin.data_dir == tmp_path / "data"


RULES = "REASON = {!r}\n"
FOLDER = """
from gatepost import Plugin, deny
from .rules import REASON

class Good(Plugin):
    def on_connect(self, session):
        return deny(reason=REASON)
"""


@pytest.fixture
def package(tmp_path):
    def write(**texts):
        folder = tmp_path / "plugins" / "grey"
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            (folder / f"{name}.py").write_text(text)
        return folder

    return write


@pytest.mark.parametrize("use", ["plugins/grey/", "plugins/grey", "./plugins/grey"])
def test_a_folder_is_a_plugin_of_its_name(package, tmp_path, use):
    package(__init__=FOLDER, rules=RULES.format("first"))
    plugin = load_plugin(use, {}, Place(tmp_path))
    assert plugin.name == "grey"
    assert plugin.on_connect(None).reason == "first"


def test_the_class_of_a_folder_can_be_in_one_of_its_modules(package, tmp_path):
    package(__init__="from .plugin import Good\n", plugin=GOOD)
    assert find_plugin("plugins/grey/", tmp_path)[1] == "grey"


def test_a_base_class_in_a_module_of_a_folder_does_not_count(package, tmp_path):
    text = "from .plugin import Good\nclass Mine(Good):\n    pass\n"
    package(__init__=text, plugin=GOOD)
    assert find_plugin("plugins/grey/", tmp_path)[0].__name__ == "Mine"


def test_each_load_of_a_folder_imports_its_modules_again(package, tmp_path):
    package(__init__=FOLDER, rules=RULES.format("first"))
    old = load_plugin("plugins/grey/", {}, Place(tmp_path))
    package(rules=RULES.format("another reason"))
    new = load_plugin("plugins/grey/", {}, Place(tmp_path))
    assert new.on_connect(None).reason == "another reason"
    assert old.on_connect(None).reason == "first"


def test_an_error_in_a_module_of_a_folder_names_its_line(package, tmp_path):
    folder = package(__init__=FOLDER, rules="\n1 / 0\n")
    message = failure("plugins/grey/", tmp_path)
    where = folder / "rules.py"
    assert message == (
        f"plugin {folder}: import failed: {where}:2: ZeroDivisionError: division by zero"
    )
    files = [getattr(one, "__file__", None) or "" for one in sys.modules.values()]
    assert not [one for one in files if one.startswith(str(folder))]


@pytest.mark.parametrize(
    ("use", "message"),
    [("plugins/absent/", "no such folder"), ("plugins/empty/", "__init__.py: no such file")],
)
def test_a_folder_that_cannot_be_imported_is_an_error(tmp_path, use, message):
    (tmp_path / "plugins" / "empty").mkdir(parents=True)
    assert message in failure(use, tmp_path)


def test_a_relative_import_of_a_file_is_explained(file, tmp_path):
    path = file(FOLDER)
    assert failure("mine.py", tmp_path) == (
        f"plugin {path}: import failed: {path}:3: ImportError: attempted relative import with no "
        f"known parent package. Only a plugin that is a folder can do this: move the files to "
        f"{tmp_path / 'mine'}/."
    )


@pytest.mark.parametrize("name", sorted(builtin_names()))
def test_a_shipped_plugin_that_looks_up_names_states_it(name):
    found, _ = find_plugin(name, Path())
    own = {one.__module__ for one in found.__mro__ if one.__module__.startswith("gatepost.plugins")}
    own |= {"gatepost.plugins._dns_lists"} if "gatepost.plugins._zones" in own else set()
    asks = any(".resolver" in inspect.getsource(sys.modules[name]) for name in own)
    assert found.uses_dns == asks
