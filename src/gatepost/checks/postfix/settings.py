"""The settings of the Postfix on this machine, as its own `postconf` prints them.

Nothing is changed. The settings of the service on port 25 (`smtp inet`) in master.cf replace those
of main.cf.

Trust: `postconf` is found by the administrator's PATH, and in /usr/sbin. Its output may be any
text. Limits: TIME for each of two calls; settings that depend on the client, such as restriction
classes and tables, are not followed.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

TIME = 10.0
NAMES = (
    "queue_directory",
    "smtpd_data_restrictions",
    "smtpd_milters",
    "smtpd_recipient_restrictions",
    "smtpd_relay_before_recipient_restrictions",
    "smtpd_relay_restrictions",
    "milter_protocol",
    "non_smtpd_milters",
)
_SERVICE = "smtp/inet/"
_ITEM = re.compile(r"\{[^{}]*\}|[^\s,{}]+")

Settings = Mapping[str, str]


class PostconfError(Exception):
    """The settings cannot be read; the text is the reason."""


def command() -> str | None:
    """Return the path of `postconf`, None if it is not installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])
    return shutil.which("postconf", path=path)


def read(postconf: str, folder: Path | None) -> Settings:
    """Return the settings; `folder` has main.cf, None is Postfix's own. Raises `PostconfError`."""
    of_folder = () if folder is None else ("-c", str(folder))
    main = _run(postconf, *of_folder, "-x", *NAMES)
    services = _run(postconf, *of_folder, "-P")
    return {**_values(main), **_values(services, _SERVICE)}


def _run(*argv: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - no argument comes from outside
            argv,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=TIME,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PostconfError(f"{argv[0]} has not ended within {TIME:g} s") from None
    except OSError as error:
        raise PostconfError(f"{argv[0]}: {error.strerror}") from None
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise PostconfError(lines[-1])
    return done.stdout


def _values(output: str, prefix: str = "") -> Settings:
    """Return what `name = value` lines set whose names begin with the prefix."""
    lines = (line.partition("=") for line in output.splitlines())
    return {
        name.strip().removeprefix(prefix): value.strip()
        for name, equals, value in lines
        if equals and name.startswith(prefix)
    }


def items(value: str) -> Sequence[str]:
    """Return the items of a list such as a restriction list; `{ ... }` is one item."""
    return _ITEM.findall(value)
