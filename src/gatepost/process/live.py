"""Ask the processes of a running server about their sessions, over their control sockets.

Every process is asked at the same time. One that does not answer in time is named in the result
instead of waited for. Calls block, at most for `timeout` seconds: in a program with an event loop,
call them in a thread.

Trusts: the processes in the data folder, which only the server's user can enter. Answers are still
decoded strictly.
Limits: MAX_ANSWER octets of a process.
"""

import os
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from gatepost.net.private_socket import connect
from gatepost.server.control_socket import (
    FOLDER,
    SUFFIX,
    Answer,
    EndRequest,
    Request,
    RequestError,
    Serving,
    SessionsRequest,
    StatusRequest,
)
from gatepost.server.live import LiveSession

TIMEOUT = 2.0
MAX_ANSWER = 64 * 1024 * 1024
_READ = 256 * 1024

_decode = msgspec.json.Decoder(Answer).decode
_encode = msgspec.json.Encoder().encode


class NotRunningError(Exception):
    """No process of a server has a control socket in the data folder."""


class Live(msgspec.Struct, frozen=True):
    """The sessions of a server, the oldest first.

    `matched` is the number of sessions that were selected; `sessions` has them up to the limit.
    `silent` are the ids of processes that did not answer in time.
    """

    workers: Sequence[Serving]
    silent: Sequence[int]
    sessions: Sequence[LiveSession] = ()
    matched: int = 0


class Ended(msgspec.Struct, frozen=True):
    """The result for each reference: "ended", "unknown", "delivering"; `silent` as in `Live`."""

    results: dict[str, str]
    silent: Sequence[int]


def live_sessions(data_dir: Path, request: SessionsRequest, timeout: float = TIMEOUT) -> Live:
    """Return the selected sessions; raises `NotRunningError`, `RequestError` or OSError."""
    links = _ask(data_dir, request, timeout)
    answers = [answer for link in links for answer in link.answers]
    found = sorted((one for answer in answers for one in answer.sessions), key=_by_age)
    matched = sum(answer.matched for answer in answers)
    return Live(_workers(answers), _silent(links), found[: request.limit], max(matched, len(found)))


def live_status(data_dir: Path, timeout: float = TIMEOUT) -> Live:
    """Return the processes without their sessions; raises as `live_sessions`."""
    links = _ask(data_dir, StatusRequest(), timeout)
    return Live(_workers([answer for link in links for answer in link.answers]), _silent(links))


def end_sessions(
    data_dir: Path, refs: Sequence[str], by: str = "", timeout: float = TIMEOUT
) -> Ended:
    """End sessions by the reference of the session or of its transaction.

    The client gets 421. `by` is the person who ends them. Raises as `live_sessions`.
    """
    links = _ask(data_dir, EndRequest(list(refs), by), timeout)
    results = dict.fromkeys(refs, "unknown")
    for link in links:
        for answer in link.answers:
            results |= {ref: found for ref, found in answer.ended.items() if found != "unknown"}
    return Ended(results, _silent(links))


def _by_age(one: LiveSession) -> float:
    return -one.age


def _workers(answers: Sequence[Answer]) -> list[Serving]:
    found = [answer.serving for answer in answers if answer.serving is not None]
    return sorted(found, key=lambda one: (one.worker, one.pid))


def _silent(links: Sequence["_Link"]) -> list[int]:
    return sorted(link.pid for link in links if not link.done)


class _Link:
    """The request to one process, and its answer so far; `sock` is None if it takes no request."""

    def __init__(self, pid: int, sock: socket.socket | None) -> None:
        self.pid = pid
        self.sock = sock
        self.answers: list[Answer] = []
        self.done = False
        self._received = 0
        self._rest = b""

    def read(self) -> bool:
        """Take what has come; return whether more is expected."""
        assert self.sock is not None
        try:
            octets = self.sock.recv(_READ)
            *lines, self._rest = (self._rest + octets).split(b"\n")
            self.answers += map(_decode, lines)
        except BlockingIOError:
            return True
        except (OSError, ValueError):  # it has ended, or has another version
            return False
        self._received += len(octets)
        self.done = bool(self.answers) and not self.answers[-1].more
        return bool(octets) and not self.done and self._received < MAX_ANSWER


def _ask(data_dir: Path, request: Request, timeout: float) -> list[_Link]:
    """Send a request to every process; return when all have answered, or after `timeout`.

    Raises `RequestError` if a process refuses it.
    """
    line = _encode(request) + b"\n"
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        links = list(_links(data_dir / FOLDER, stack))
        if not links:
            raise NotRunningError(f"not running: no server uses {data_dir}")
        for link in links:
            if link.sock is not None and _send(link.sock, line):
                selector.register(link.sock, selectors.EVENT_READ, link)
        deadline = time.monotonic() + timeout
        while selector.get_map() and (left := deadline - time.monotonic()) > 0:
            for key, _ in selector.select(left):
                if not key.data.read():
                    selector.unregister(key.fileobj)
    for answer in (answer for link in links for answer in link.answers if answer.error):
        raise RequestError(answer.error)
    return links


def _send(sock: socket.socket, line: bytes) -> bool:
    """Return whether a request was sent; it fits into the buffer of a new socket."""
    try:
        return sock.send(line) == len(line)
    except OSError:
        return False


def _links(folder: Path, stack: ExitStack) -> Iterator[_Link]:
    """Yield the connections to processes that have not ended; raises OSError."""
    for path in _sockets(folder):
        pid = int(path.name.partition("-")[0])
        try:
            yield _Link(pid, stack.enter_context(connect(path)))
        except (FileNotFoundError, ConnectionRefusedError):
            continue
        except BlockingIOError:  # its backlog is full: it hangs
            yield _Link(pid, None)


def _sockets(folder: Path) -> list[Path]:
    """Return the control sockets in a folder; raises OSError without permission."""
    try:
        names = os.listdir(folder)  # noqa: PTH208 - Path.iterdir is lazy about its errors
    except FileNotFoundError:
        return []
    return [
        folder / name
        for name in sorted(names)
        if name.endswith(SUFFIX) and name.partition("-")[0].isdecimal()
    ]
