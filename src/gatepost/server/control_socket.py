"""The control socket of a process: requests about its sessions, answered in its event loop.

Each process that serves has a socket in the folder `control` of the data folder. A connection is
one request, a line of JSON (`Request`), and its answer: lines of JSON (`Answer`), the last of them
without `more`.

Theory of operation
-------------------
The supervisor is not asked: it must not process what clients have sent, and a server that runs in
another program has none. The caller asks each process by itself (`gatepost.process.live`), so a
process that hangs delays no other.

Security: the socket is that of `gatepost.net.private_socket`. A request is still checked, because
a mistake of its program must not end the process.
Limits: MAX_REQUEST octets, OPEN requests at the same time, SECONDS until the answer must be read,
MOST sessions in an answer.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from gatepost._version import __version__
from gatepost.disk.durable import ensure_private
from gatepost.log.logger import get_logger
from gatepost.net.networks import Networks
from gatepost.net.private_socket import is_owner, listen, remove_stale
from gatepost.server.connections import Connections
from gatepost.server.live import Filter, LiveSession, end, sessions

FOLDER = "control"
SUFFIX = ".sock"
MAX_REQUEST = 64 * 1024
OPEN = 8
SECONDS = 10.0
MOST = 10_000

_log = get_logger("gatepost.server")


class SessionsRequest(
    msgspec.Struct, frozen=True, tag_field="command", tag="sessions", forbid_unknown_fields=True
):
    """Ask for sessions; see `gatepost.server.live.Filter`. `client` is an address or a network."""

    client: str = ""
    listener: str = ""
    plugin: str = ""
    older: Annotated[float, Meta(ge=0)] = 0.0
    limit: Annotated[int, Meta(ge=0, le=MOST)] = 1000

    @property
    def filter(self) -> Filter:
        """The conditions; raises ValueError for a wrong network."""
        networks: Networks = [ip_network(self.client, strict=False)] if self.client else []
        return Filter(networks, self.listener, self.plugin, self.older)


class EndRequest(
    msgspec.Struct, frozen=True, tag_field="command", tag="end", forbid_unknown_fields=True
):
    """End the sessions with these references; `by` is the person who ends them, for the log."""

    refs: Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=1000)]
    by: Annotated[str, Meta(max_length=100)] = ""


class StatusRequest(
    msgspec.Struct, frozen=True, tag_field="command", tag="status", forbid_unknown_fields=True
):
    """Ask for the figures of the process only."""


Request = SessionsRequest | EndRequest | StatusRequest


class Serving(msgspec.Struct, frozen=True, omit_defaults=True):
    """A process that serves: its number among the workers, and its figures.

    `sessions` are open, `pending` are connections without their PROXY header. `cpu` are seconds of
    user and system time. `lag` is the longest delay of the event loop since the last status for the
    metrics, in seconds. `stopping` is whether it ends its sessions.
    """

    worker: int
    pid: int
    version: str
    sessions: int
    cpu: float
    pending: int = 0
    lag: float = 0.0
    stopping: bool = False


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of an answer.

    `error` is why the request failed. `serving` is in the last line, and `matched` the number of
    sessions that were selected, with those beyond the limit. `ended` has what happened to each
    reference: "ended", "unknown" or "delivering".
    """

    more: bool = False
    error: str = ""
    serving: Serving | None = None
    sessions: list[LiveSession] = []
    matched: int = 0
    ended: dict[str, str] = {}


class RequestError(ValueError):
    """A request that cannot be read; the message names what was expected."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Request).decode


def read_request(line: bytes) -> Request:
    """Return a request; raises `RequestError`."""
    try:
        request: Request = _decode(line)
        if isinstance(request, SessionsRequest):
            _ = request.filter
    except (ValueError, RecursionError) as error:
        raise RequestError(f"expected a request as one line of JSON: {error}") from error
    return request


class ControlSocket:
    """The socket of a process that has `connections`; `worker` is its number."""

    def __init__(self, connections: Connections, data_dir: Path, worker: int) -> None:
        self._connections = connections
        self._folder = data_dir / FOLDER
        self._path = self._folder / f"{os.getpid()}-{os.urandom(4).hex()}{SUFFIX}"
        self._worker = worker
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        """Answer requests from now on; log why that is not possible."""
        try:
            remove_stale(ensure_private(self._folder), f"*{SUFFIX}")
            sock = listen(self._path)
        except OSError as error:
            _log.warning("control socket not opened", path=str(self._path), problem=str(error))
            return
        self._server = await asyncio.start_server(self._answer, sock=sock, limit=MAX_REQUEST)

    async def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.close()
            self._path.unlink(missing_ok=True)
        for writer in self._open:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the request of one connection."""
        self._open.add(writer)
        try:
            if len(self._open) <= OPEN and is_owner(writer.get_extra_info("socket")):
                async with asyncio.timeout(SECONDS):
                    await self._exchange(reader, writer)
        except OSError:  # the other end is gone, or does not read in time
            writer.transport.abort()
        finally:
            self._open.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = read_request(await reader.readline())
        except ValueError as error:  # also of a line that is too long
            writer.write(_encode(Answer(error=str(error))) + b"\n")
            return
        async for answer in self._answers(request):
            writer.write(_encode(answer) + b"\n")
            await writer.drain()

    async def _answers(self, request: Request) -> AsyncIterator[Answer]:
        match request:
            case SessionsRequest():
                async for answer in self._sessions(request):
                    yield answer
            case EndRequest():
                yield Answer(ended={ref: self._end(ref, request.by) for ref in request.refs})
            case StatusRequest():
                yield Answer(serving=self._serving())

    async def _sessions(self, request: SessionsRequest) -> AsyncIterator[Answer]:
        matched = 0
        async for piece in sessions(self._connections, request.filter):
            chosen = piece[: max(0, request.limit - matched)]
            matched += len(piece)
            if chosen:
                yield Answer(more=True, sessions=chosen)
        yield Answer(serving=self._serving(), matched=matched)

    def _end(self, ref: str, by: str) -> str:
        result = end(self._connections, ref)
        if result == "ended":
            _log.warning("session ended", ref=ref, by=by)
        return result

    def _serving(self) -> Serving:
        shared, times = self._connections, os.times()
        return Serving(
            worker=self._worker,
            pid=os.getpid(),
            version=__version__,
            sessions=len(shared.members),
            cpu=times.user + times.system,
            pending=len(shared.pending),
            lag=shared.lag,
            stopping=shared.draining,
        )
