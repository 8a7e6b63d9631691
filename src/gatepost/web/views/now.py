"""The view Now: who is connected, in which step, waiting for which plugin, and for how long.

The processes that serve are asked over their control sockets, as `gatepost sessions` does.

Limits: ROWS sessions, the oldest first.
"""

from urllib.parse import urlencode

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
    request = SessionsRequest(client=filters.ip, plugin=filters.plugin, limit=ROWS)
    try:
        live = live_sessions(source.config.data_dir, request)
    except NotRunningError:
        return _shown(Live((), ()), _STOPPED)
    return _shown(live, _NONE)


def _shown(live: Live, empty: str) -> Shown:
    rows = [_row(one) for one in live.sessions]
    more = live.matched - len(rows)
    note = f"{more:,} more are not shown." if more > 0 else ""
    facts = {
        "open": live.matched,
        "waiting": sum(bool(one.plugin) for one in live.sessions),
        "workers": len(live.workers),
        "silent": live.silent,
    }
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
