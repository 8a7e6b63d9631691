"""`gatepost plugin new`."""

import keyword
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.cli.plugin import check_name, class_name, distribution
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
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", distribution(name))


def test_a_package_has_a_plugin_with_an_entry_point(run, folder):
    result = run("plugin", "new", "no_robots", "--package")
    assert result.exit_code == 0
    made = folder / "gatepost-no-robots"
    files = sorted(str(path.relative_to(made)) for path in made.rglob("*") if path.is_file())
    assert files == [
        ".gitignore",
        "Makefile",
        "README.md",
        "pyproject.toml",
        "src/gatepost_no_robots/__init__.py",
        "src/gatepost_no_robots/py.typed",
        "tests/test_no_robots.py",
    ]
    assert not [path for path in files if re.search("@[A-Z]", (made / path).read_text())]
    project = tomllib.loads((made / "pyproject.toml").read_text())["project"]
    assert project["name"] == "gatepost-no-robots"
    assert project["entry-points"] == {
        "gatepost.plugins": {"no_robots": "gatepost_no_robots:NoRobots"}
    }
    assert "Wrote the package gatepost-no-robots." in result.stdout
    assert '  use = "no_robots"' in result.stdout


def test_a_package_is_not_overwritten(run, folder):
    assert run("plugin", "new", "mine", "--package", "--dir", "here").exit_code == 0
    result = run("plugin", "new", "mine", "--package", "--dir", "here")
    assert result.exit_code == 1
    assert "here/pyproject.toml: exists already" in result.stderr


@pytest.mark.skipif(find_spec("hatchling") is None, reason="hatchling is not installed")
def test_a_package_can_be_tested_installed_and_used(run, folder, tmp_path):
    run("plugin", "new", "no_robots", "--package")
    own, python = tmp_path / "venv", tmp_path / "venv/bin/python"
    venv.create(own, with_pip=False)
    # The packages of this environment, and Gatepost itself, instead of a download.
    paths = [path for path in sys.path if Path(path).is_dir() and not _is_standard(path)]
    folders = sysconfig.get_path("purelib", vars={"base": str(own), "platbase": str(own)})
    Path(folders, "others.pth").write_text("\n".join(paths))

    def call(*command):
        done = subprocess.run(
            [python, *command],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    call("-m", "pip", "install", "-q", *offline, "./gatepost-no-robots")
    tested = call("-m", "pytest", "-q", "-p", "no:cacheprovider", "gatepost-no-robots")
    assert "1 passed" in tested
    (folder / "gatepost.toml").write_text(
        '[[listen]]\naddress = "127.0.0.1:0"\n[recipients]\ndomains = ["example.com"]\n'
        '[[route]]\nto = "discard:"\n[[plugin]]\nuse = "no_robots"\n'
    )
    refused = "refused: no mail for this user"
    served = call("-c", SERVE.format(refused=refused))
    assert served == f"{refused}\n"


def _is_standard(path):
    return path in {"", sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}


SERVE = """
import asyncio, smtplib, gatepost

async def main():
    async with gatepost.Server(gatepost.load_config("gatepost.toml")) as server:
        host, _, port = server.addresses[0][1].rpartition(":")
        await asyncio.to_thread(send, host, int(port))

def send(host, port):
    with smtplib.SMTP(host, port) as client:
        client.ehlo()
        client.mail("a@client.example")
        if b"no mail for this user" in client.rcpt("robot@example.com")[1]:
            print("{refused}")

asyncio.run(main())
"""
