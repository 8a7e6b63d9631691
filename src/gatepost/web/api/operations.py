"""The table of all operations. The routes, the OpenAPI document and docs/api.md come from it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import msgspec

from gatepost.allow.entry import Entry
from gatepost.checks.forgiving import forgive
from gatepost.ledger.matching import matcher
from gatepost.ledger.records import Record
from gatepost.ledger.words.explain import explain, headline
from gatepost.ledger.words.fitting import plain
from gatepost.server.allowing import EVENTS
from gatepost.web.access.users import Role
from gatepost.web.allows import Requested, allow, end
from gatepost.web.api.parameters import (
    FILTERS,
    PERIOD,
    SELECTIVE,
    AllowRequest,
    ForwardRequest,
    QueueRequest,
    TryRequest,
    WhatRequest,
    limit_of,
)
from gatepost.web.api.results import (
    AllowedData,
    ChangedData,
    ForgivenData,
    HealthData,
    MessageData,
    RecordsPage,
    TrialData,
    ViewData,
    data_of,
    trial_data,
)
from gatepost.web.asking import Problem
from gatepost.web.changes import ACTIONS, Action, changed_text, perform
from gatepost.web.filters import Filters
from gatepost.web.live import sse
from gatepost.web.paging import page_of
from gatepost.web.source import Source
from gatepost.web.trials import BusyTrialsError, Trials, TryError
from gatepost.web.views import (
    allowed,
    find,
    health,
    message,
    outcomes,
    quarantine,
    queue,
    reasons,
    traps,
)
from gatepost.web.views.forgiving import subjects
from gatepost.web.views.try_form import PATH as TRY_PATH
from gatepost.web.views.view import Shown

Query = Callable[[Source, Filters], Shown]
JSON = "application/json"


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

    If it `waits`, `run` is awaited in the event loop, and also gets the trials of the dashboard.
    The result of a `stream` is a function for new records, which returns the data of an event.

    `role` is what a token needs. `audited` returns the event of a change and its detail. If it is
    not `is_scoped`, it is for tokens without domains.
    """

    name: str
    path: str
    about: str
    run: Callable[..., Any]
    result: Any
    parameters: Sequence[str] = ()
    body: type[msgspec.Struct] | None = None
    audited: Callable[[Call, Any], tuple[str, str]] | None = None
    method: str = "GET"
    role: Role = "viewer"
    is_scoped: bool = True
    waits: bool = False
    stream: str = ""

    @property
    def media_type(self) -> str:
        """The type of the response."""
        return sse.MEDIA_TYPE if self.stream else JSON

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


def _events(call: Call) -> Callable[[Sequence[Record]], str]:
    """Return a function that returns the selected ones of new records as JSON, "" for none."""
    selection = find.timeless(call.filters).selection(call.source.recorded)
    is_selected, visible = matcher(selection), call.source.scope.visible

    def encode(records: Sequence[Record]) -> str:
        found = [one for one in map(visible, records) if one is not None and is_selected(one)]
        return msgspec.json.encode(found).decode() if found else ""

    return encode


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


def _changed(call: Call, found: ChangedData, action: Action) -> tuple[str, str]:
    return "mail changed", changed_text(action, found.recipients, call.body.messages)


def _allow(call: Call) -> AllowedData:
    source = call.source
    requested = Requested(*(getattr(call.body, name) for name in Requested._fields))
    entry, _ = allow(source.config.data_dir, requested, call.author, source.now)
    return _allowed(entry)


def _end(call: Call) -> AllowedData:
    source = call.source
    return _allowed(end(source.config.data_dir, call.body.what, call.author, source.now))


def _allowed(entry: Entry) -> AllowedData:
    warnings = list(entry.subject.warnings())
    return AllowedData(
        entry.what, entry.until, entry.at, entry.by, entry.note, entry.traps, warnings
    )


def _described(found: AllowedData) -> str:
    """Return an entry for the record of its change."""
    return str(Entry(found.what, found.until, found.at, found.by, found.note, found.traps))


def _forgive(call: Call) -> ForgivenData:
    source = call.source
    done = forgive(subjects(source, call.body.what), source.config)
    return ForgivenData({one.name: one.deleted for one in done})


def _forgiven(_call: Call, found: ForgivenData) -> tuple[str, str]:
    named = (f"{name}: {count} on record" for name, count in found.forgiven.items())
    return "memory forgiven", ", ".join(named)


def _of_action(action: Action) -> Operation:
    return Operation(
        action.name,
        f"/queue/{action.name}",
        action.about,
        partial(_change, action=action),
        ChangedData,
        body=ForwardRequest if action.needs_address else QueueRequest,
        audited=partial(_changed, action=action),
        method="POST",
        role="admin",
    )


async def _try(call: Call, trials: Trials) -> TrialData | Problem:
    try:
        tried = await trials.run(
            call.source.config, call.body, call.body.compare, call.body.message
        )
    except TryError as error:
        return Problem(400, str(error))
    except BusyTrialsError as error:
        return Problem(503, str(error))
    return trial_data(tried)


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
    Operation(
        "events",
        "/events",
        "New records of the ledger as server-sent events, from now on or after an event. The data"
        " of an event `records` is a JSON array of records, the oldest first.",
        _events,
        str,
        (*SELECTIVE, "after", "seconds"),
        stream="records",
    ),
    _of_view("outcomes", "Accepted, refused and deferred messages by time.", outcomes.query),
    _of_view(
        "reasons",
        "Reasons of refusals, compared with the time before.",
        reasons.query,
        (*PERIOD, "reason", "plugin"),
    ),
    _of_view(
        "traps",
        "Traps that were hit, and the networks of the clients.",
        traps.query,
        (*PERIOD, "to"),
    ),
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
    Operation(
        "allowed",
        "/allowed",
        "The entries of gatepost allow: which mail plugins do not refuse, until when, and why.",
        partial(_view, query=allowed.query),
        ViewData,
        is_scoped=False,
    ),
    Operation(
        "allow",
        "/allowed/add",
        "Allow mail until a time: plugins do not refuse, defer or hold it.",
        _allow,
        AllowedData,
        body=AllowRequest,
        audited=lambda _call, found: (EVENTS["added"], _described(found)),
        method="POST",
        role="admin",
        is_scoped=False,
    ),
    Operation(
        "disallow",
        "/allowed/end",
        "End an entry now.",
        _end,
        AllowedData,
        body=WhatRequest,
        audited=lambda _call, found: (EVENTS["removed"], _described(found)),
        method="POST",
        role="admin",
        is_scoped=False,
    ),
    Operation(
        "forgive",
        "/forgive",
        "Remove a client and a domain from what plugins remember about trap hits. what is a"
        " reference, an IP address, a network or a domain.",
        _forgive,
        ForgivenData,
        body=WhatRequest,
        audited=_forgiven,
        method="POST",
        role="admin",
        is_scoped=False,
    ),
    Operation(
        "try",
        TRY_PATH,
        "What would happen to a message now, and with the configuration in another file.",
        _try,
        TrialData,
        body=TryRequest,
        method="POST",
        role="admin",
        is_scoped=False,
        waits=True,
    ),
)
