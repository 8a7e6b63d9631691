"""CONTRIBUTING.md names files, commands and checks that exist."""

import re

import pytest
from tests.docs.pages import ROOT
from tools import check

PAGE = ROOT / "CONTRIBUTING.md"
# Names of files that do not exist yet have a capital NAME.
PATHS = re.findall(r"`((?:src|tests|tools|docs|examples|bench)/[\w./-]*)`", PAGE.read_text("utf-8"))


@pytest.mark.parametrize("path", [path for path in PATHS if "NAME" not in path])
def test_a_file_it_names_exists(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize("path", [path for path in PATHS if "NAME" in path])
def test_the_folder_of_a_new_file_exists(path):
    folder = path.partition("NAME")[0].rpartition("/")[0]
    assert (ROOT / folder).is_dir()


def test_every_make_target_it_names_exists():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    named = set(re.findall(r"`make (\w+)`|^make (\w+)", PAGE.read_text("utf-8"), re.MULTILINE))
    assert {first or second for first, second in named} <= set(targets)


def test_every_static_check_is_listed():
    text = PAGE.read_text("utf-8")
    assert [step.title for step in check.STATIC if f"| {step.title} |" not in text] == []
