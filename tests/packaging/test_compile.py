"""hatch_build.py: a compilation of two small modules, with the real compiler."""

import sysconfig

import hatch_build
import pytest

SOURCE = {
    "one.py": "def twice(number: int) -> int:\n    return number * 2\n",
    "two.py": "from gatepost.one import twice\n\n\ndef four() -> int:\n    return twice(2)\n",
}


@pytest.fixture
def project(tmp_path):
    if reason := hatch_build.missing():
        pytest.skip(reason)
    package = tmp_path / "project/src/gatepost"
    package.mkdir(parents=True)
    for name, text in {"__init__.py": "", **SOURCE}.items():
        (package / name).write_text(text)
    return tmp_path / "project"


def compile_project(project, folder):
    folder.mkdir()
    files = hatch_build.sources(project, [f"/src/gatepost/{name}" for name in SOURCE])
    hatch_build.compile_modules(project, files, folder)
    return [name for _, name in hatch_build.built(folder)]


def test_modules_are_compiled_and_the_source_folder_stays_as_it_was(project, tmp_path):
    names = compile_project(project, tmp_path / "out")
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    assert {f"gatepost/one{suffix}", f"gatepost/two{suffix}"} < set(names)
    left = [path.name for path in project.rglob("*") if path.is_file()]
    assert sorted(left) == ["__init__.py", *SOURCE]


def test_an_error_in_the_source_is_in_the_reason(project, tmp_path):
    (project / "src/gatepost/two.py").write_text("number: int = 'a'\n")
    with pytest.raises(
        hatch_build.NotCompiledError, match=r"(?s)the compilation failed:.*two\.py:1"
    ):
        compile_project(project, tmp_path / "out")
