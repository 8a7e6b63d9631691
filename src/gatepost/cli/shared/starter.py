"""The starter folder: the files in `starter`, with another domain put in where one is asked for.

Written without a trace on failure: what was made is taken away again. The configuration comes
last, so that a folder that was interrupted cannot be served.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

EXAMPLE_DOMAIN = "example.com"

CERTIFICATE = "tls/cert.pem"
KEY = "tls/key.pem"
# Files nobody else may read.
PRIVATE = frozenset({KEY})

# What the template of the configuration has commented out.
_TLS_LINES = ("# tls = ", "# [tls]", "# certificates = ")

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
    return files("gatepost.cli.shared").joinpath("templates", name).read_text("utf-8")


def starter(domain: str = EXAMPLE_DOMAIN) -> dict[str, str]:
    """Return the files of a starter folder: relative paths and texts."""
    texts = {path: template(name) for path, name in STARTER.items()}
    return {
        path: text if path.endswith(".py") else text.replace(EXAMPLE_DOMAIN, domain)
        for path, text in texts.items()
    }


def with_tls(texts: Mapping[str, str], certificate: str, key: str) -> dict[str, str]:
    """Return a starter folder's files with a certificate, and what stands ready for it in force."""
    lines = texts["gatepost.toml"].splitlines(keepends=True)
    config = "".join(
        line.removeprefix("# ") if line.startswith(_TLS_LINES) else line for line in lines
    )
    return {CERTIFICATE: certificate, KEY: key, **texts, "gatepost.toml": config}


def create(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files below a folder, making folders as needed.

    Raises OSError if a file exists or cannot be written, and then leaves nothing behind.
    """
    made: list[Path] = []
    try:
        for name, text in texts.items():
            path = folder / name
            _make_folder(path.parent, made)
            opener = _open_private if name in PRIVATE else None
            with open(path, "x", encoding="utf-8", opener=opener) as file:
                made.append(path)
                file.write(text)
    except BaseException:
        _take_away(made)
        raise


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _make_folder(path: Path, made: list[Path]) -> None:
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir()
        made.append(one)


def _take_away(made: list[Path]) -> None:
    for path in reversed(made):
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
