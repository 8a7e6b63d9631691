import pytest
from tools import words


def found(text, name="src/gatepost/sample.py"):
    return [(one.line, one.word) for one in words.check(name, text)]


@pytest.mark.parametrize(
    "line",
    [
        "# a comment that says it",
        "text = 'a string that says it'",
        "text = f'a string {that} says it'",
        "says = 1",
        "one.what_it_says()",
        "class WhatItSays: ...",
        "SAYS_IT = 1",
    ],
)
def test_a_word_is_found_in_comments_strings_and_names(line):
    assert [word.lower() for _, word in found(f"\n{line}\n")] == ["says"]


def test_every_line_of_a_docstring_has_its_own_number():
    assert found('"""First.\n\nIt says so.\n"""\n') == [(3, "says")]


@pytest.mark.parametrize("word", sorted(words.PREFERRED))
def test_every_listed_word_is_found(word):
    assert found(f"# {word}\n") == [(1, word)]
    assert found(word, "docs/page.md") == [(1, word)]


@pytest.mark.parametrize(
    "word", ["known", "unknown", "acknowledge", "besides", "essay", "foretell"]
)
def test_other_words_are_left_alone(word):
    assert found(f"# {word}\n") == []


@pytest.mark.parametrize(
    "beginning", ["What", "Who", "Whether", "Where", "That", "How", "Whatever", "Nothing"]
)
def test_a_docstring_starts_with_a_verb(beginning):
    assert found(f'def one():\n    """{beginning} is."""\n') == [(2, beginning)]
    assert found(f'class One:\n    """{beginning} is."""\n') == [(2, beginning)]
    assert found(f'"""{beginning} is."""\n') == [(1, beginning)]
    assert found(f'def one():\n    """Return {beginning}."""\n') == []


def test_a_longer_word_may_start_a_docstring():
    assert found('def one():\n    """Whatsoever."""\n') == []


def test_in_tests_only_names_docstrings_and_comments_count():
    text = '"""He says."""\n\n\ndef test_it_says():\n    assert "says"  # says\n'
    assert found(text, "tests/test_sample.py") == [(1, "says"), (4, "says"), (5, "says")]
    assert found("says = 'says'\n", "tests/test_sample.py") == []


def test_the_names_of_libraries_are_allowed():
    assert found("WAITING = ssl.SSLWantReadError") == []


def test_an_exception_holds_for_its_files_only():
    assert found("`nobody`", "docs/page.md") == []
    assert found("`nobody`", "README.md") == [(1, "nobody")]


@pytest.mark.parametrize("allowed", words.ALLOWED, ids=lambda allowed: allowed.text)
def test_every_exception_is_needed_and_has_a_reason(allowed):
    assert allowed.reason
    assert any(word.lower() in words.PREFERRED for word in words.WORD.findall(allowed.text))


def test_findings_are_printed_with_file_line_and_term(tmp_path, capsys):
    file = tmp_path / "page.md"
    file.write_text("one\nanew\n")
    (tmp_path / "picture.png").write_bytes(b"\xff")
    assert words.main([str(tmp_path)]) == 1
    assert capsys.readouterr().out == f"{file}:2: anew: use again\n"


def test_clean_files_exit_with_zero(tmp_path, capsys):
    (tmp_path / "page.md").write_text("again\n")
    assert words.main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == ""
