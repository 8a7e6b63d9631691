"""Lists of regular expressions: lines, searches, and files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.lists.patterns import MAX_PATTERNS
from gatepost.lists.regexes import RegexFile, RegexList

LINES = [
    "# a comment",
    "",
    r"^sales-\d+$",
    "/cheap (pills|watches)/ a note",
    "[#]1 offer",
]


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("SALES-17", r"^sales-\d+$"),
        ("sales-x", None),
        ("buy Cheap Watches now", "cheap (pills|watches)"),
        ("our #1 offer", "[#]1 offer"),
        ("", None),
        ("a note", None),
        ("\udcff", None),
    ],
)
def test_the_first_expression_is_found(text, pattern):
    assert RegexList.from_lines(LINES, "list").find(text) == pattern


@pytest.mark.parametrize("line", ["(", "/(/", "/x", "//", "a\x00", r"(?=x)", "x{1000}{1000}"])
def test_other_lines_are_errors(line):
    regexes = RegexList.from_lines(["x", line], "list")
    (error,) = regexes.errors
    assert str(error).startswith("list:2: expected ")
    assert (regexes.bad_lines, len(regexes), regexes.current is regexes) == (1, 1, True)


def test_too_many_expressions_are_errors():
    regexes = RegexList.from_lines([f"x{n}" for n in range(MAX_PATTERNS + 2)], "list")
    assert (len(regexes), regexes.bad_lines) == (MAX_PATTERNS, 2)


def test_a_file_is_read_again(tmp_path):
    path = tmp_path / "regexes"
    path.write_bytes(b"one\n(\n")
    file = RegexFile(path)
    file.load()
    assert [error.line for error in file.current.errors] == [2]
    path.write_text("two\n")
    assert file.refresh().entries == 1
    assert file.current.find("two") == "two"
    path.unlink()
    assert "cannot be read" in file.refresh().problem
    assert file.current.find("two") == "two"


@given(st.lists(st.text(max_size=30), max_size=5), st.text())
def test_any_line_is_an_entry_or_an_error(lines, text):
    regexes = RegexList.from_lines(lines, "list")
    assert len(regexes) + regexes.bad_lines <= len(lines)
    regexes.find(text)
