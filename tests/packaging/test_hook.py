"""hatch_build.py: what is built where, without the compilation itself."""

import ast
import re
import sys
import sysconfig
import tomllib
from pathlib import Path

import hatch_build
import pytest
from hatch_build import CompileHook, NotCompiledError

ROOT = Path(hatch_build.__file__).parent
TOOL = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
CONFIG = TOOL["targets"]["wheel"]["hooks"]["custom"]


class App:
    """Keeps what the build prints."""

    def __init__(self):
        self.warnings = []

    def display_warning(self, text):
        self.warnings.append(text)

    def display_info(self, text):
        pass


def compiles(_root, files, folder):
    """Write the files of a compilation."""
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    for name in ("abc__mypyc", "gatepost/wire/lmtp"):
        path = folder / "lib" / f"{name}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def fails(_root, files, folder):
    raise NotCompiledError("the compilation failed:\nerror: x")


@pytest.fixture(autouse=True)
def no_choice(monkeypatch):
    monkeypatch.delenv("GATEPOST_BUILD", raising=False)


@pytest.fixture
def include(monkeypatch, tmp_path):
    """A folder with the headers of Python, next to any program as the compiler."""
    (tmp_path / "Python.h").touch()
    monkeypatch.setattr(sysconfig, "get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("CC", sys.executable)
    return tmp_path


@pytest.fixture
def can_compile(include, monkeypatch):
    monkeypatch.setattr(hatch_build, "compile_modules", compiles)


@pytest.fixture
def build():
    """A function that runs the hook; it returns the data for the wheel and the warnings."""

    def build(version="standard"):
        app = App()
        hook = CompileHook(str(ROOT), CONFIG, None, None, str(ROOT), "wheel", app)
        data = {"pure_python": True, "infer_tag": False, "force_include": {}}
        hook.initialize(version, data)
        hook.finalize(version, data, "")
        return data, app.warnings

    return build


def requirements():
    return CompileHook(str(ROOT), CONFIG, None, None, str(ROOT), "wheel", App()).dependencies()


PAGES = {str(ROOT / "docs/shipped"): "gatepost/pages"}
EDITABLE = {"pure_python": True, "infer_tag": False, "force_include": {}}
PURE = {**EDITABLE, "force_include": PAGES}


def test_compiled_modules_and_their_library_are_added(can_compile, build):
    data, warnings = build()
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    assert (data["pure_python"], data["infer_tag"], warnings) == (False, True, [])
    expected = [f"abc__mypyc{suffix}", "gatepost/pages", f"gatepost/wire/lmtp{suffix}"]
    assert sorted(data["force_include"].values()) == expected


def test_the_temporary_folder_is_removed(can_compile, build):
    data, _ = build()
    assert not any(map(Path.is_file, map(Path, data["force_include"])))


def test_a_missing_compiler_leaves_the_wheel_pure_with_a_warning(monkeypatch, build):
    monkeypatch.setenv("CC", "/nonexistent/cc -O2")
    reason = "no C compiler found (looked for /nonexistent/cc)"
    assert build() == (PURE, [f"gatepost: building in pure Python: {reason}"])


def test_missing_headers_of_python_leave_the_wheel_pure(include, build):
    (include / "Python.h").unlink()
    data, (warning,) = build()
    assert data == PURE
    assert warning.endswith("Python.h is missing (install Python's development files)")


def test_a_failed_compilation_leaves_the_wheel_pure_with_its_output(
    can_compile, monkeypatch, build
):
    monkeypatch.setattr(hatch_build, "compile_modules", fails)
    text = "gatepost: building in pure Python: the compilation failed:\nerror: x"
    assert build() == (PURE, [text])


@pytest.mark.parametrize("compiler", ["/nonexistent/cc", sys.executable])
def test_a_required_compilation_that_fails_is_an_error(can_compile, monkeypatch, build, compiler):
    monkeypatch.setenv("CC", compiler)
    monkeypatch.setenv("GATEPOST_BUILD", "compiled")
    monkeypatch.setattr(hatch_build, "compile_modules", fails)
    with pytest.raises(NotCompiledError):
        build()


def test_a_pure_wheel_can_be_asked_for(can_compile, monkeypatch, build):
    monkeypatch.setenv("GATEPOST_BUILD", "pure")
    assert build() == (PURE, [])


def test_an_editable_installation_is_not_compiled_and_has_no_copy_of_the_pages(can_compile, build):
    assert build("editable") == (EDITABLE, [])


def test_another_value_of_the_variable_is_an_error(monkeypatch, build):
    monkeypatch.setenv("GATEPOST_BUILD", "fast")
    with pytest.raises(ValueError, match="expected one of auto, compiled, pure, found fast"):
        build()


def test_the_compilation_has_its_packages(can_compile):
    assert any(one.startswith("mypy>=") for one in requirements())


def test_a_pure_build_needs_no_packages(can_compile, monkeypatch):
    monkeypatch.setenv("GATEPOST_BUILD", "pure")
    assert requirements() == []


def test_without_a_compiler_nothing_is_fetched(monkeypatch):
    monkeypatch.setenv("CC", "/nonexistent/cc")
    assert requirements() == []


def test_every_listed_module_exists_and_is_listed_once():
    files = hatch_build.sources(ROOT, CONFIG["include"])
    assert all((ROOT / "src" / path).is_file() for path in files)
    assert len(files) == len(set(files))


def test_a_pattern_without_files_is_an_error():
    with pytest.raises(ValueError, match=r"no file to compile matches /src/gatepost/gone\.py$"):
        hatch_build.sources(ROOT, ["/src/gatepost/gone.py", CONFIG["include"][0]])


def handlers(path):
    """Yield function, name and types of the exceptions that a function binds to one name."""
    for function in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            bound = {}
            for node in ast.walk(function):
                if isinstance(node, ast.ExceptHandler) and node.name:
                    bound.setdefault(node.name, set()).add(ast.unparse(node.type))
            yield from ((function.name, name, sorted(types)) for name, types in bound.items())


def test_compiled_functions_bind_each_name_to_one_of_our_exceptions():
    """mypyc gives a name the type of its first handler; another compiled one is a TypeError."""
    files = [ROOT / "src" / path for path in hatch_build.sources(ROOT, CONFIG["include"])]
    ours = set(re.findall(r"^class (\w+)", "".join(map(Path.read_text, files)), re.MULTILINE))
    found = [one for path in files for one in handlers(path)]
    assert any(ours.intersection(types) for _, _, types in found)
    assert [one for one in found if len(one[2]) > 1 and ours.intersection(one[2])] == []


def bases(path):
    """Yield class, module and name of each base class that a file imports from Gatepost."""
    tree = ast.parse(path.read_text("utf-8"))
    imported = {
        alias.asname or alias.name: (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("gatepost.")
        for alias in node.names
    }
    for node in ast.walk(tree):
        for base in node.bases if isinstance(node, ast.ClassDef) else ():
            named = base.value if isinstance(base, ast.Subscript) else base
            if isinstance(named, ast.Name) and named.id in imported:
                yield node.name, *imported[named.id]


def test_no_other_class_derives_from_a_compiled_one():
    """In the compiled build that is a TypeError, when the first instance is made."""
    source = ROOT / "src"
    files = hatch_build.sources(ROOT, CONFIG["include"])
    modules = {".".join(path.with_suffix("").parts) for path in files}
    others = {path.relative_to(source) for path in source.rglob("*.py")} - set(files)
    found = [(path, *base) for path in sorted(others) for base in bases(source / path)]
    assert found
    assert [one for one in found if one[2] in modules] == []
