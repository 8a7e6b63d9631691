"""The failure of a plugin's code: the exception with file and line, and the client it was for."""

import os
from collections.abc import Iterable
from pathlib import Path
from traceback import walk_tb
from typing import Any

from gatepost.model.endpoint import Endpoint
from gatepost.model.session import Session, Transaction

_STANDARD_LIBRARY = str(Path(os.__file__).parent)
_OWN_FOLDERS = tuple(str(Path(__file__).parents[1] / one) for one in ("plugin", "checks"))


class UnavailableError(Exception):
    """A plugin cannot do its work now, because what it asks does not answer.

    Raised by a plugin that has logged the outage itself: `on_error` decides, and the message adds
    no line to the log.
    """


def describe(error: BaseException) -> str:
    """Return `FILE:LINE: type: text`, without the location if none is outside the library."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    location = _location(error)
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"{location}: {text}" if location else text


def location_of(frames: Iterable[tuple[str, int]]) -> str:
    """Return the innermost place that is not Python's library, the plugin host or the checks."""
    found = [f"{file}:{line}" for file, line in frames if not _is_library(file)]
    return found[-1] if found else ""


def client_of(args: tuple[Any, ...]) -> dict[str, str]:
    """Return the reference and the peer of a hook's first argument, for the log."""
    match args:
        case (Transaction() as tx, *_):
            return {"ref": tx.id, "peer": str(tx.session.peer)}
        case (Session() as session, *_):
            return {"ref": session.id, "peer": str(session.peer)}
        case (Endpoint() as peer, *_):
            return {"peer": str(peer)}
        case _:
            return {}


def _location(error: BaseException) -> str:
    frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
    return location_of(frames)


def _is_library(file: str) -> bool:
    in_python = file.startswith(_STANDARD_LIBRARY) and "site-packages" not in file
    return in_python or file.startswith(("<frozen", *_OWN_FOLDERS))
