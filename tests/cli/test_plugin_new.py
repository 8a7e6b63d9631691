"""`gatepost plugin new`."""

import keyword
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.cli.plugin import check_name, class_name
from gatepost.cli.shared.output import WrongUsage


def test_the_new_plugin_passes_its_test_and_can_be_used(run, folder):
    result = run("plugin", "new", "no_robots")
    assert result.exit_code == 0
    assert "\n  python -m pytest plugins/test_no_robots.py\n" in result.stdout
    stanza = "\n".join(result.stdout.splitlines()[-3:])
    with (folder / "gatepost.toml").open("a") as file:
        file.write(stanza)
    assert "rcpt  on     no_robots" in run("check", "--limits").stdout
    tested = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "plugins/test_no_robots.py",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 passed" in tested.stdout, tested.stdout


def test_a_relative_folder_starts_at_the_configuration(run, folder, tmp_path):
    result = run("plugin", "new", "mine", "--dir", "own", "-c", tmp_path / "else" / "gatepost.toml")
    assert result.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "else" / "own").iterdir()) == [
        "mine.py",
        "test_mine.py",
    ]


@pytest.mark.parametrize("present", ["mine.py", "test_mine.py"])
def test_existing_files_are_not_overwritten(run, folder, present):
    (folder / "plugins" / present).write_text("original")
    before = sorted((folder / "plugins").iterdir())
    result = run("plugin", "new", "mine")
    assert result.exit_code == 1
    assert result.stderr == f"gatepost: plugins/{present}: exists already, choose another name\n"
    assert (folder / "plugins" / present).read_text() == "original"
    assert sorted((folder / "plugins").iterdir()) == before


@pytest.mark.parametrize("name", ["class", "No", "1st", "a-b", "../x", "a.py", "naïve", "a\n", ""])
def test_a_name_must_be_a_python_name(run, folder, name):
    result = run("plugin", "new", name)
    assert result.exit_code == 2
    assert result.stderr == (
        f"gatepost: NAME: expected a Python name such as no_mondays, found {name!r}\n"
    )


@pytest.mark.parametrize("name", ["email", "random", "pytest", "gatepost", "test_it"])
def test_a_name_must_not_be_that_of_another_module(run, folder, name):
    result = run("plugin", "new", name)
    assert result.exit_code == 2
    assert result.stderr == (
        f"gatepost: NAME: expected a name that no other module uses, found {name!r}\n"
    )


@given(st.text(max_size=20))
def test_any_text_is_a_module_name_or_refused(name):
    try:
        check_name(name)
    except WrongUsage:
        return
    assert name.isidentifier()
    assert not keyword.iskeyword(name)
    assert class_name(name).isidentifier()
