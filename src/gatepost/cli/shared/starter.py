"""The starter folder, created from the files in `templates`.

A failure removes every file and folder that was created. The configuration is written last, so an
incomplete folder cannot be served.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

EXAMPLE_DOMAIN = "example.com"

CERTIFICATE = "tls/cert.pem"
KEY = "tls/key.pem"
# Files that only their owner can read.
PRIVATE = frozenset({KEY})

# Lines of the configuration template that are commented out.
_TLS_LINES = ("# tls = ", "# [tls]", "# certificates = ")

# The data of a service, as in contrib/gatepost.service, in place of paths below the configuration.
STATE_FOLDER = "/var/lib/gatepost"
SYSTEM_PATHS = {
    'data_dir = "var"': f'data_dir = "{STATE_FOLDER}"',
    "maildir:var/mail/": f"maildir:{STATE_FOLDER}/mail/",
}

# The plugins of a configuration by the name of its profile: a template, placed before the limits.
PROFILES = {"gateway": "gateway.toml"}
_LIMITS = "[limits]\n"

# The path of each file, and its template.
STARTER = {
    ".gitignore": "gitignore",
    "users": "users",
    "verybadrcptto": "verybadrcptto",
    "plugins/no_mondays.py": "no_mondays.txt",
    "plugins/test_no_mondays.py": "test_no_mondays.txt",
    "gatepost.toml": "gatepost.toml",
}


def template(name: str) -> str:
    """Return the text of a file in `templates`."""
    return files("gatepost.cli.shared").joinpath("templates", name).read_text("utf-8")


def starter(domain: str = EXAMPLE_DOMAIN) -> dict[str, str]:
    """Return the files of a starter folder by relative path, with another domain if asked for."""
    texts = {path: template(name) for path, name in STARTER.items()}
    return {
        path: text if path.endswith(".py") else text.replace(EXAMPLE_DOMAIN, domain)
        for path, text in texts.items()
    }


def with_tls(texts: Mapping[str, str], certificate: str, key: str) -> dict[str, str]:
    """Return the files of a starter folder with a certificate, and with TLS enabled."""
    lines = texts["gatepost.toml"].splitlines(keepends=True)
    config = "".join(
        line.removeprefix("# ") if line.startswith(_TLS_LINES) else line for line in lines
    )
    return {CERTIFICATE: certificate, KEY: key, **texts, "gatepost.toml": config}


def with_system_paths(texts: Mapping[str, str]) -> dict[str, str]:
    """Return the files of a starter folder with absolute paths for data and mail.

    A service cannot write to the folder of its configuration, where relative paths start.
    """
    config = texts["gatepost.toml"]
    for relative, absolute in SYSTEM_PATHS.items():
        config = config.replace(relative, absolute)
    return {**texts, "gatepost.toml": config}


def with_profile(texts: Mapping[str, str], name: str) -> dict[str, str]:
    """Return the files of a starter folder with the plugins of a profile of PROFILES."""
    config = texts["gatepost.toml"]
    before, section, behind = config.partition(_LIMITS)
    return {**texts, "gatepost.toml": f"{before}{template(PROFILES[name])}\n{section}{behind}"}


def create(folder: Path, texts: Mapping[str, str]) -> None:
    """Write files below a folder, and create missing folders.

    Raises OSError if a file exists or cannot be written, and then removes all it has created.
    """
    created: list[Path] = []
    try:
        for name, text in texts.items():
            path = folder / name
            _create_folder(path.parent, created)
            opener = _open_private if name in PRIVATE else None
            with open(path, "x", encoding="utf-8", opener=opener) as file:
                created.append(path)
                file.write(text)
    except BaseException:
        _remove(created)
        raise


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _create_folder(path: Path, created: list[Path]) -> None:
    missing = [one for one in (path, *path.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir()
        created.append(one)


def _remove(created: list[Path]) -> None:
    for path in reversed(created):
        with suppress(OSError):
            path.rmdir() if path.is_dir() else path.unlink()
