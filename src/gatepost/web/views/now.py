"""The view Now: who is connected, in which step, waiting for which plugin, and for how long.

The processes that serve are asked over their control sockets, as `gatepost sessions` does. The live
stream has the same tables and facts, from the sessions that were read for all viewers.

Limits: ROWS sessions, the oldest first.
"""

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from gatepost.process.live import Live, NotRunningError, live_sessions
from gatepost.server.control_socket import SessionsRequest
from gatepost.server.live import LiveSession
from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.table import Action, Column, Row, Table, Value
from gatepost.web.views.view import Shown

ROWS = 500
END_PATH = "/now/end"
SESSIONS = (
    Column("session", "Session"),
    Column("age", "Age", "seconds"),
    Column("idle", "Idle", "seconds"),
    Column("step", "Step"),
    Column("plugin", "Waits for"),
    Column("waiting", "Since", "seconds"),
    Column("client", "Client", "client"),
    Column("helo", "HELO"),
    Column("user", "User"),
    Column("sender", "From", "address"),
    Column("recipients", "Recipients", "count"),
    Column("messages", "Messages", "count"),
    Column("received", "Received", "octets"),
    Column("listener", "Listener"),
    Column("tls", "TLS"),
)
_NONE = "No client is connected. Sessions are here while they are open."
_STOPPED = "The server is not running. Sessions are here while it is: gatepost serve."


def query(source: Source, filters: Filters) -> Shown:
    """Return the open sessions; raises `RequestError` or OSError."""
    try:
        return shown(live_sessions(source.config.data_dir, request_of(filters)))
    except NotRunningError:
        return shown(None)


def request_of(filters: Filters) -> SessionsRequest:
    """Return the request for the sessions that filters select."""
    return SessionsRequest(client=filters.ip, plugin=filters.plugin, limit=ROWS)


def selected(live: Live, request: SessionsRequest) -> Live:
    """Return those of all sessions that a request selects."""
    chosen = request.filter
    if not request.client and not request.plugin:
        return msgspec.structs.replace(live, sessions=live.sessions[: request.limit])
    found = [one for one in live.sessions if chosen.matches(one, _host(one.client))]
    return msgspec.structs.replace(live, sessions=found[: request.limit], matched=len(found))


def shown(live: Live | None, history: Sequence[int] = (), problem: str = "") -> Shown:
    """Return the page of sessions; None is a server that does not run.

    `history` are the last numbers of open sessions, `problem` is why they cannot be read.
    """
    found = live or Live((), ())
    rows = [_row(one) for one in found.sessions]
    more = found.matched - len(rows)
    note = f"{more:,} more are not shown." if more > 0 else ""
    facts = {
        "open": found.matched,
        "waiting": sum(bool(one.plugin) for one in found.sessions),
        "workers": len(found.workers),
        "silent": found.silent,
        "history": history,
        "unreadable": problem,
    }
    empty = _STOPPED if live is None else _NONE
    return Shown([Table("sessions", "Sessions", SESSIONS, rows, empty, note)], facts)


def _row(one: LiveSession) -> Row:
    end = Action("End", f"{END_PATH}?{urlencode({'ref': one.ref})}")
    return Row(_values(one), actions=(end,))


def _host(client: str) -> str:
    """Return a client without its port; a path of a Unix socket has none."""
    host, colon, _ = client.rpartition(":")
    return host.strip("[]") if colon else client


def _values(one: LiveSession) -> tuple[Value, ...]:
    client = _host(one.client)
    return (
        *(one.ref, one.age, one.idle, one.step, one.plugin, one.waiting, client, one.helo),
        *(one.user, one.path, one.recipients, one.messages, one.received, one.listener, one.tls),
    )
