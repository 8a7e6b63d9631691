"""Check the wording: words with a better term, and docstrings that start with a pronoun.

    python tools/words.py                 # the whole repository
    python tools/words.py docs tools      # some folders or files

Every text is searched: documentation, comments, strings and names, which are split at underscores
and capitals. In tests only names, docstrings and comments count, because data may need any word.
Each finding is printed as `file:line: word: preferred term`; the exit status is 1 if there is one.
"""

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
# Files of other projects.
VENDORED = "tests/suites/"
SEARCHED = (
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile", "pyproject.toml", ".ci", "docs"),
    *("src", "tools", "bench", "endurance", "sim", "fuzz", "examples", "contrib", "tests"),
)
SUFFIXES = {".py", ".md", ".toml", ".sh", ".js", ".service", ".conf", ""}
BEGINNINGS = re.compile(r"(What|Who|Whether|Where|That|How|Whatever|Nobody|Nothing)\b")
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

# The words that must not occur, and the terms to use instead.
TERMS = {
    "nobody somebody anybody": "name the person or program",
    "whoever whomever whom": "name the person or program",
    "anew": "again",
    "beside": "next to, with",
    "nought noughts": "zero",
    "vouch vouches vouched vouching": "trust",
    "clerk clerks desk desks crew crews crowd crowds parcel parcels salvager salvagers": (
        "the field's own term"
    ),
    "hither whence hence thus": "so, therefore",
    "thereby whereby wherein": "by this, by which, in which",
    "shall": "must, will",
    "say says said saying": "report, reply, send",
    "hear hears heard hearing": "receive",
    "tell tells told telling": "notify, report, distinguish",
    "know knows knew knowing": "have, record, detect",
    "want wants wanted wanting": "need, require, expect",
    "forget forgets forgot forgotten forgetting": "drop, omit",
}
PREFERRED = {word: term for words, term in TERMS.items() for word in words.split()}


class Allowed(NamedTuple):
    """A text that may hold such a word, the files it may stand in, and the reason."""

    text: str
    files: str
    reason: str


ALLOWED = (
    Allowed("TELL", "*", "a command of spamd"),
    Allowed("allow-tell", "*", "an option of spamd"),
    Allowed("SSLWantReadError", "*", "a name of Python's ssl module"),
    Allowed("SSLWantWriteError", "*", "a name of Python's ssl module"),
    Allowed('"nobody"', "*", "the account of that name"),
    Allowed("`nobody`", "docs/*", "the account of that name"),
    Allowed("Wants=", "contrib/*", "a setting of systemd"),
    Allowed("WantedBy=", "contrib/*", "a setting of systemd"),
)
# Files that quote the words.
SKIPPED = ("tools/words.py", "tests/test_words.py")


class Finding(NamedTuple):
    """A word that must not stand where it stands."""

    file: str
    line: int
    word: str
    term: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.word}: use {self.term}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Search the given paths, everything by default; print findings and return the exit status."""
    paths = (sys.argv[1:] if arguments is None else arguments) or SEARCHED
    found = [one for file in files(ROOT / path for path in paths) for one in search(file)]
    for finding in found:
        print(finding)
    return 1 if found else 0


def files(paths: Iterable[Path]) -> Iterator[Path]:
    """Yield the text files at and below the paths."""
    for path in paths:
        below = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in below:
            if file.is_file() and file.suffix in SUFFIXES and not _is_skipped(_name(file)):
                yield file


def _is_skipped(name: str) -> bool:
    return name in SKIPPED or name.startswith(VENDORED)


def search(file: Path) -> list[Finding]:
    """Return the findings in one file."""
    text = file.read_text("utf-8")
    return check(_name(file), text)


def _name(file: Path) -> str:
    resolved = file.resolve()
    return str(resolved.relative_to(ROOT)) if resolved.is_relative_to(ROOT) else str(file)


def check(name: str, text: str) -> list[Finding]:
    """Return the findings in a text that is, or could be, the content of the file `name`."""
    if not name.endswith(".py"):
        return list(_words(name, enumerate(text.splitlines(), 1)))
    tree = ast.parse(text)
    lines = _of_test(tree, text) if name.startswith("tests/") else enumerate(text.splitlines(), 1)
    return sorted({*_words(name, lines), *_beginnings(name, tree)}, key=lambda one: one.line)


def _words(name: str, lines: Iterable[tuple[int, str]]) -> Iterator[Finding]:
    for number, line in lines:
        for word in WORD.findall(_without_allowed(name, line)):
            if term := PREFERRED.get(word.lower()):
                yield Finding(name, number, word, term)


def _without_allowed(name: str, line: str) -> str:
    for allowed in ALLOWED:
        if fnmatch(name, allowed.files):
            line = line.replace(allowed.text, "")
    return line


def _of_test(tree: ast.Module, text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a test file that count: names of definitions, docstrings, comments."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
    for first, docstring in _docstrings(tree):
        yield from enumerate(docstring.splitlines(), first)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _beginnings(name: str, tree: ast.Module) -> Iterator[Finding]:
    for first, docstring in _docstrings(tree):
        if match := BEGINNINGS.match(docstring):
            yield Finding(name, first, match[1], "a verb or a noun phrase to start a docstring")


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield each docstring with the number of its first line."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(tree):
        if isinstance(node, documented) and (docstring := ast.get_docstring(node, clean=False)):
            yield node.body[0].lineno, docstring


if __name__ == "__main__":
    sys.exit(main())
