"""The page that asks before a change of the queue, and makes it.

Security: only administrators, by a form with the token of their session (`app`).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from gatepost.queue.spool.admin import QueueEntry
from gatepost.web.access.forms import read_fields
from gatepost.web.asking import Problem, ask
from gatepost.web.changes import ACTIONS, ChangeError, changed_text, perform, possible
from gatepost.web.filters import Filters
from gatepost.web.showing import render
from gatepost.web.site import Site, Visitor
from gatepost.web.table import Column, Row, Table
from gatepost.web.views.queue import ROWS
from gatepost.web.views.view import Shown, View

_VIEW = View("change", "/queue", "Queue", "", lambda _s, _f: Shown([]))
_COLUMNS = (
    Column("message", "Message"),
    Column("state", "State", "result"),
    Column("sender", "From", "address"),
    Column("recipient", "To", "address"),
    Column("destination", "Next hop"),
)


async def change_queue(site: Site, request: Request, visitor: Visitor) -> Response:
    """Ask whether to change messages, or change them if the form confirms it."""
    if visitor.user.role != "admin":
        return render(_VIEW, visitor, Filters(), Problem(403, "Only administrators change mail."))
    fields = await read_fields(request)
    form = dict(fields)
    action = ACTIONS.get(form.get("action", ""))
    if action is None:
        return render(_VIEW, visitor, Filters(), Problem(400, "Expected an action."))
    names = list(dict.fromkeys(value for name, value in fields if name == "message"))
    source = site.source(visitor.user.scope)
    author = f"user {visitor.user.name}"
    is_sure = form.get("sure") == "yes"
    address = form.get("address", "").strip()
    query: Any = partial(possible, source, action, names)
    if is_sure:
        query = partial(perform, source, action, names, author, address)
    try:
        found = await ask(site, query)
    except ChangeError as error:
        found = Problem(400, str(error))
    if isinstance(found, Problem):
        return render(_VIEW, visitor, Filters(), found)
    facts = {"action": action, "names": names, "text": "", "done": None, "rows": 0}
    if is_sure:
        what = changed_text(action, found, names)
        site.audit.record("mail changed", author, visitor.client.address, what)
        return render(_VIEW, visitor, Filters(), Shown([], {**facts, "done": found}))
    facts["rows"] = len(found)
    return render(_VIEW, visitor, Filters(), Shown([_table(found)], facts))


def _table(entries: Sequence[QueueEntry]) -> Table:
    rows = [
        Row((one.name, one.state, one.sender or "<>", one.recipient, one.destination))
        for one in entries[:ROWS]
    ]
    more = len(entries) - len(rows)
    note = f"{more:,} more are not shown." if more > 0 else ""
    return Table("change", "Recipients", _COLUMNS, rows, "", note)
