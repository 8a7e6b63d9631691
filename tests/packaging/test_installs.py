"""Wheels as pip builds them from the checkout, installed where there is no C compiler.

`pip install .` builds a wheel and installs it; the tests do the two steps apart, so that they share
one compilation with the other tests of the compiled build (tools/compiled.py).
"""

import os
import subprocess
import sys
import zipfile

import pytest
from tests.packaging.environment import MESSAGE, PIP, Installed, without_compiler
from tools import compiled, dist

from gatepost import __version__


@pytest.fixture(scope="module")
def compiled_wheel():
    try:
        return compiled.wheel()
    except compiled.NoCompilerError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    return dist.build_archive(tmp_path_factory.mktemp("archive"))


@pytest.fixture
def installed(tmp_path):
    return Installed(tmp_path / "environment")


def build(folder, **variables):
    """Build a wheel of the checkout as `pip install .` does; return its path and the output."""
    done = subprocess.run(
        (*PIP, "wheel", "-v", "--no-deps", "--wheel-dir", str(folder), str(compiled.ROOT)),
        env=without_compiler(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return next(folder.glob("*.whl"), None), done.stdout


def contents(wheel):
    """Return the files of a wheel without its description."""
    with zipfile.ZipFile(wheel) as files:
        names = [name for name in files.namelist() if ".dist-info/" not in name]
        return {name: files.read(name) for name in names}


def works(installed, expected):
    """Check what is reported of the build, and that a message is delivered."""
    assert installed.run("--version") == f"gatepost, version {__version__} ({expected})\n"
    build, (message,) = installed.receive()
    assert build == expected
    assert message.endswith(MESSAGE)
    assert f"\nbuild             {expected}\n" in installed.run("check")


def test_a_wheel_that_was_built_with_a_compiler_is_compiled_and_works(compiled_wheel, installed):
    assert not compiled_wheel.name.endswith("-none-any.whl")
    installed.install(compiled_wheel)
    works(installed, "compiled, uvloop")


def test_a_compilation_leaves_no_file_in_the_checkout(compiled_wheel):
    assert [*compiled.ROOT.glob("src/**/*.so"), *compiled.ROOT.glob("*.bak")] == []


@pytest.mark.parametrize("variables", [{}, {"PATH": os.environ["PATH"], "CC": "/nonexistent/cc"}])
def test_a_wheel_that_was_built_without_a_compiler_is_pure_with_a_warning(tmp_path, variables):
    wheel, output = build(tmp_path, **variables)
    assert wheel.name == f"gatepost-{__version__}-py3-none-any.whl"
    assert "gatepost: building in pure Python: no C compiler found" in output


def test_a_required_compilation_without_a_compiler_is_an_error(tmp_path):
    wheel, output = build(tmp_path, GATEPOST_BUILD="compiled")
    assert wheel is None
    assert "no C compiler found" in output


def test_pip_installs_everything_without_a_compiler(tmp_path):
    folder = tmp_path / "environment"
    subprocess.run((sys.executable, "-m", "venv", folder), check=True)
    subprocess.run(
        (folder / "bin/pip", "install", "-q", "--disable-pip-version-check", compiled.ROOT),
        env=without_compiler(),
        check=True,
    )
    works(Installed(folder, create=False), "pure Python, uvloop")


def test_the_pure_wheel_of_the_archive_is_that_of_the_checkout(archive, tmp_path):
    of_archive = dist.build_pure(archive, tmp_path / "archive")
    of_checkout = dist.build_pure(compiled.ROOT, tmp_path / "checkout")
    assert of_archive.name == of_checkout.name == f"gatepost-{__version__}-py3-none-any.whl"
    assert contents(of_archive) == contents(of_checkout)


def test_the_pure_wheel_works(archive, installed, tmp_path):
    installed.install(dist.build_pure(archive, tmp_path))
    works(installed, "pure Python, uvloop")


def test_the_pure_wheel_has_the_pages_of_the_shipped_plugins(archive, installed, tmp_path):
    wheel = dist.build_pure(archive, tmp_path)
    pages = {path.name: path.read_bytes() for path in compiled.ROOT.glob("docs/shipped/*.md")}
    packed = contents(wheel)
    assert {name: packed[f"gatepost/pages/{name}"] for name in pages} == pages
    installed.install(wheel)
    assert installed.run("plugins", "show", "score").startswith("# score\n")


def test_the_compiled_wheel_has_the_source_of_the_pure_one(compiled_wheel, archive, tmp_path):
    pure = contents(dist.build_pure(archive, tmp_path))
    both = contents(compiled_wheel)
    assert {name: both[name] for name in both if not name.endswith(".so")} == pure
