"""The page that asks before messages are learned as spam or ham, and lets scanners learn them.

It does what `gatepost queue learn` does, in a thread with an event loop of its own, so that pages
do not wait. The page has the result of each scanner.

Security: only administrators without a limit to domains, because what a scanner learns is about the
mail of all; by a form with the token of their session (`app`).

Limits: MOST messages at a time, SECONDS for all of them.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from gatepost.checks.learning import Learned, learn_all, stored
from gatepost.plugin.methods import Lesson
from gatepost.queue.spool import admin, changes
from gatepost.queue.spool.admin import QueueEntry, Selection
from gatepost.session.assemble import SetupError
from gatepost.web.access.forms import read_fields
from gatepost.web.asking import Problem, ask
from gatepost.web.changes import LONGEST_NAME, SHOWN, ChangeError
from gatepost.web.filters import Filters
from gatepost.web.showing import render
from gatepost.web.site import Site, Visitor
from gatepost.web.source import Source
from gatepost.web.spool import spool_errors
from gatepost.web.table import Column, Row, Table
from gatepost.web.views.view import Shown, View

PATH = "/queue/learn"
MOST, SECONDS = 20, 20.0
LESSONS: Mapping[str, Lesson] = {"spam": "spam", "ham": "ham"}
VIEW = View("learn", PATH, "Learn", "", lambda _s, _f: Shown([]), is_scoped=False)
DENIED = "Only administrators without a limit to some domains let scanners learn."
ASKED = (
    Column("message", "Message"),
    Column("sender", "From", "address"),
    Column("recipient", "To", "address"),
    Column("reason", "Reason"),
)
DONE = (
    Column("message", "Message"),
    Column("plugin", "Scanner"),
    Column("result", "Result"),
)
NONE = "No plugin of this configuration learns: rspamd and spamassassin do."


class Order(NamedTuple):
    """The order of a form."""

    kind: Lesson
    names: Sequence[str]
    is_sure: bool


async def learn_page(site: Site, request: Request, visitor: Visitor) -> Response:
    """Ask whether messages are to be learned, or let them be learned if the form confirms that."""
    if visitor.user.role != "admin" or not visitor.user.scope.is_everything:
        return render(VIEW, visitor, Filters(), Problem(403, DENIED))
    source, author = Source(site.config, visitor.user.scope), f"user {visitor.user.name}"
    try:
        order = _order(await read_fields(request))
        found = await ask(site, partial(_answer, source, order, author))
    except ChangeError as error:
        return render(VIEW, visitor, Filters(), Problem(400, str(error)))
    if order.is_sure and isinstance(found, Shown):
        site.audit.record("mail learned", author, visitor.client.address, _text(order, found))
    return render(VIEW, visitor, Filters(), found)


def _order(fields: Sequence[tuple[str, str]]) -> Order:
    """Return the order of a form; raises `ChangeError`."""
    form = dict(fields)
    kind = LESSONS.get(form.get("kind", ""))
    names = list(dict.fromkeys(value for name, value in fields if name == "message"))
    if kind is None:
        raise ChangeError(f"expected one of {', '.join(LESSONS)}")
    if not 0 < len(names) <= MOST or any(len(one) > LONGEST_NAME for one in names):
        raise ChangeError(f"expected 1 to {MOST} messages, each by its number or reference")
    return Order(kind, names, form.get("sure") == "yes")


def _answer(source: Source, order: Order, author: str) -> Shown:
    """Return the page that asks, or that of the results; raises `ChangeError`, `QueueError`."""
    entries = source.queue(Selection(names=order.names))
    learned = learn(source, entries, order.kind, author) if order.is_sure else []
    rows = [Row((one.name, one.sender or "<>", one.recipient, one.reason)) for one in entries]
    word = f"learned as {order.kind}"
    done = [Row((one.message, one.plugin, one.problem or word)) for one in learned]
    tables = [Table("asked", "Messages", ASKED, rows), Table("done", "Results", DONE, done, NONE)]
    facts = {"kind": order.kind, "names": order.names, "is_done": order.is_sure}
    return Shown(tables, {**facts, "learned": learned})


def learn(
    source: Source, entries: Sequence[QueueEntry], kind: Lesson, author: str
) -> list[Learned]:
    """Let the scanners learn messages, and record it; raises `ChangeError` and `QueueError`."""
    names: dict[str, list[str]] = {}
    for one in entries:
        names.setdefault(one.name, []).append(one.recipient)
    messages = (message for name, to in names.items() for message in stored(source.spool, name, to))
    try:
        with spool_errors():
            results = learn_all(source.config, messages, kind, SECONDS)
    except SetupError as error:
        raise ChangeError("; ".join(error.problems)) from error
    for name in names:
        _record(source, name, [one for one in results if one.message == name], kind, author)
    return results


def _record(
    source: Source, name: str, results: Sequence[Learned], kind: Lesson, author: str
) -> None:
    """Add the change to the ledger, as the command does."""
    learned = [one.plugin for one in results if not one.problem]
    if learned:
        detail = f"as {kind} by {', '.join(learned)}"
        with spool_errors():
            for _ in admin.apply(
                source.spool, Selection([name]), changes.LEARN, 0.0, author=author, detail=detail
            ):
                pass


def _text(order: Order, found: Shown) -> str:
    """Return what was learned for the record of it."""
    learned: Sequence[Learned] = found.facts["learned"]
    done = sum(not one.problem for one in learned)
    more = f" and {len(order.names) - SHOWN} more" if len(order.names) > SHOWN else ""
    names = f"{', '.join(order.names[:SHOWN])}{more}"
    return f"{order.kind}: {names}: {done} of {len(learned)} scans learned"
