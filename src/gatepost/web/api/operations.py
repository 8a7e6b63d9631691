"""The table of all operations. The routes, the OpenAPI document and docs/api.md come from it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any, NamedTuple

from gatepost.ledger.words.explain import explain, headline
from gatepost.ledger.words.fitting import plain
from gatepost.web.access.users import Role
from gatepost.web.api.parameters import FILTERS, PERIOD, ForwardRequest, QueueRequest, limit_of
from gatepost.web.api.results import (
    ChangedData,
    HealthData,
    MessageData,
    RecordsPage,
    ViewData,
    data_of,
)
from gatepost.web.changes import ACTIONS, Action, perform
from gatepost.web.filters import Filters
from gatepost.web.paging import page_of
from gatepost.web.source import Source
from gatepost.web.views import find, health, message, outcomes, quarantine, queue, reasons, traps
from gatepost.web.views.view import Shown

Query = Callable[[Source, Filters], Shown]


class Call(NamedTuple):
    """The input of an operation: `values` are the parameters, `path` those of the path.

    `body` is the body of the request, `author` the name of the token for records.
    """

    source: Source
    filters: Filters
    values: Mapping[str, str]
    path: Mapping[str, Any]
    author: str = ""
    body: Any = None


class Operation(NamedTuple):
    """An operation. `run` is called in a thread; None is a reference without a record.

    `role` is what a token needs. If it is not `is_scoped`, it is for tokens without domains.
    """

    name: str
    path: str
    about: str
    run: Callable[[Call], Any]
    result: Any
    parameters: Sequence[str] = ()
    body: type[QueueRequest] | None = None
    method: str = "GET"
    role: Role = "viewer"
    is_scoped: bool = True

    @property
    def path_parameters(self) -> list[str]:
        """The names in braces in the path."""
        return [part[1:-1] for part in self.path.split("/") if part.startswith("{")]


def _records(call: Call) -> RecordsPage:
    limit = limit_of(call.values)
    selection = call.filters.selection(call.source.recorded)
    numbers = count()
    page = page_of(
        partial(call.source.search, selection),
        call.filters.before,
        lambda _: next(numbers) >= limit,
    )
    return RecordsPage(page.records, str(page.next) if page.next else None)


def _message(call: Call) -> MessageData | None:
    story = message.find_story(call.source, str(call.path["ref"]))
    if story is None:
        return None
    lines = [plain(line).rstrip() for line in explain(story)]
    return MessageData(story.ref, headline(story)[0], lines, story.records)


def _view(call: Call, query: Query) -> ViewData:
    shown = query(call.source, call.filters)
    return ViewData(data_of(shown.tables), shown.facts.get("next") or None)


def _health(call: Call) -> HealthData:
    shown = health.query(call.source, call.filters)
    state = shown.facts["health"]
    return HealthData(shown.facts["level"], state.problems, state.warnings, data_of(shown.tables))


def _of_view(name: str, about: str, query: Query, parameters: Sequence[str] = PERIOD) -> Operation:
    return Operation(name, f"/{name}", about, partial(_view, query=query), ViewData, parameters)


def _change(call: Call, action: Action) -> ChangedData:
    address = call.body.address if action.needs_address else ""
    return ChangedData(perform(call.source, action, call.body.messages, call.author, address))


def _of_action(action: Action) -> Operation:
    return Operation(
        action.name,
        f"/queue/{action.name}",
        action.about,
        partial(_change, action=action),
        ChangedData,
        body=ForwardRequest if action.needs_address else QueueRequest,
        method="POST",
        role="admin",
    )


OPERATIONS = (
    _of_view(
        "messages",
        "Messages, and connections that ended without one, the newest first; with q as the search"
        " of the dashboard.",
        find.query,
        (*FILTERS, "q"),
    ),
    Operation(
        "message",
        "/messages/{ref}",
        "What happened to a message or a connection, and why.",
        _message,
        MessageData,
    ),
    Operation(
        "records",
        "/records",
        "Records of the ledger, the newest first.",
        _records,
        RecordsPage,
        (*FILTERS, "limit"),
    ),
    _of_view("outcomes", "Accepted, refused and deferred messages by time.", outcomes.query),
    _of_view("reasons", "Reasons of refusals, compared with the time before.", reasons.query),
    _of_view("traps", "Traps that were hit, and the networks of the clients.", traps.query),
    _of_view(
        "quarantine",
        "Held mail, with the reason and the plugin.",
        quarantine.query,
        ("sender", "to", "reason", "plugin"),
    ),
    _of_view("queue", "The queue by next hop and by recipient.", queue.query, ("sender", "to")),
    Operation(
        "health",
        "/health",
        "The state of the server.",
        _health,
        HealthData,
        is_scoped=False,
    ),
    *map(_of_action, ACTIONS.values()),
)
