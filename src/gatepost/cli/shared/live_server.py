"""The running server, for commands: its sessions, and errors as an administrator reads them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gatepost.cli.shared.output import Failure, WrongUsage
from gatepost.log.os_error import describe_os_error
from gatepost.process.live import NotRunningError
from gatepost.server.control_socket import RequestError

# What speaks against the end of a session.
_PROBLEMS = {
    "unknown": "no open session has this reference",
    "delivering": "its message is being delivered, so the client would send it again; try later",
}


def end_text(ref: str, result: str) -> str:
    """Return the result of the request to end a session as text."""
    return f"{ref} ended" if result == "ended" else f"{ref}: {_PROBLEMS[result]}"


@contextmanager
def asked(data_dir: Path) -> Iterator[None]:
    """Turn errors of a request into a failure of the command."""
    try:
        yield
    except NotRunningError as error:
        raise Failure(str(error)) from error
    except RequestError as error:
        raise WrongUsage(str(error)) from error
    except PermissionError as error:
        raise Failure(
            f"{data_dir}: {error.strerror}: only root and the user of the server can do this"
        ) from error
    except OSError as error:
        raise Failure(describe_os_error(error)) from error
