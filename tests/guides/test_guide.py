"""Every section with commands is followed by a test, and a wrong page is found."""

import re
from pathlib import Path

import pytest
from tests.docs.pages import DOCS
from tests.guides.guide import Guide, missing

PAGES = sorted((DOCS / "guides").glob("*.md"))
TESTS = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("*.py"))
WITH_COMMANDS = [
    (path.stem, section.partition("\n")[0])
    for path in PAGES
    for section in re.split(r"^## ", path.read_text("utf-8"), flags=re.MULTILINE)[1:]
    if "```sh\n" in section
]


class FakeMachine:
    """A machine on which every command prints its own text and succeeds, unless it is `false`."""

    def __init__(self):
        self.files = {}
        self.outside = []

    def write(self, name, text):
        self.files[name] = text

    def run(self, commands, *, outside):
        self.outside.append(outside)
        self.stdout, self.returncode = commands, int(commands == "false\n")
        return self


@pytest.fixture
def guide():
    return Guide("page", FakeMachine())


@pytest.mark.parametrize(("page", "heading"), WITH_COMMANDS)
def test_every_section_with_commands_is_followed(page, heading):
    assert f'Guide("{page}", ' in TESTS
    assert f'"{heading}"' in TESTS


def test_a_file_is_written_with_its_first_line(guide):
    guide.play([("toml", "# /etc/one.toml\na = 1\n")])
    assert guide.machine.files == {"/etc/one.toml": "# /etc/one.toml\na = 1\n"}


def test_a_script_is_written_without_its_path(guide):
    guide.play([("sh", "# /etc/script\n#!/bin/sh\ntrue\n")])
    assert guide.machine.files == {"/etc/script": "#!/bin/sh\ntrue\n"}


def test_a_command_that_fails_is_found(guide):
    with pytest.raises(AssertionError, match="false"):
        guide.play([("sh", "false\n")])


def test_output_that_is_not_printed_is_found(guide):
    with pytest.raises(AssertionError, match="echo this"):
        guide.play([("sh", "echo this\n"), ("text", "that\n")])


def test_commands_run_on_the_host_that_the_page_names(guide):
    guide.play([("sh", "one\n"), ("sh", "# on another machine\ntwo\n")])
    assert guide.machine.outside == [False, True]


@pytest.mark.parametrize(
    ("line", "output"), [("a … c", "a b c"), ("a[1]*", "a[1]*"), ("a", "b\n  a\n")]
)
def test_an_expected_line_is_found(line, output):
    assert missing([line], output) == []


@pytest.mark.parametrize(("line", "output"), [("a", "ab"), ("a*", "ab"), ("a …", "b a c")])
def test_a_missing_line_is_reported(line, output):
    assert missing([line], output) == [line]
