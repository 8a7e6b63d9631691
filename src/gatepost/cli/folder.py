"""The starter folder: the files in `starter`, with another domain put in where one is asked for.

Written without a trace on failure: what was made is taken away again. The configuration comes
last, so that a folder that was interrupted cannot be served.
"""

from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

EXAMPLE_DOMAIN = "example.com"

# Where each file goes, and the template it is made from.
STARTER = {
    ".gitignore": "gitignore",
    "users": "users",
    "verybadrcptto": "verybadrcptto",
    "plugins/no_mondays.py": "no_mondays.txt",
    "plugins/test_no_mondays.py": "test_no_mondays.txt",
    "gatepost.toml": "gatepost.toml",
}


def template(name: str) -> str:
    """Return the text of one of the files in `starter`."""
    return files("gatepost.cli").joinpath("starter", name).read_text("utf-8")


def starter(domain: str = EXAMPLE_DOMAIN) -> dict[str, str]:
    """Return the files of a starter folder: relative paths and texts."""
    texts = {path: template(name) for path, name in STARTER.items()}
    return {
        path: text if path.endswith(".py") else text.replace(EXAMPLE_DOMAIN, domain)
        for path, text in texts.items()
    }


def create(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files below a folder, making folders as needed.

    Raises OSError if a file exists or cannot be written, and then leaves nothing behind.
    """
    made: list[Path] = []
    try:
        for name, text in texts.items():
            path = folder / name
            _make_folder(path.parent, made)
            with path.open("x", encoding="utf-8") as file:
                made.append(path)
                file.write(text)
    except BaseException:
        _take_away(made)
        raise


def _make_folder(path: Path, made: list[Path]) -> None:
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir()
        made.append(one)


def _take_away(made: list[Path]) -> None:
    for path in reversed(made):
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
