"""The table of all views, in the order of the navigation."""

from gatepost.web.views import (
    authentication,
    dossier,
    find,
    health,
    outcomes,
    queue,
    reasons,
    review,
    traps,
    wrong,
)
from gatepost.web.views.view import View

_PERIOD = ("period", "zone")

VIEWS = (
    View(
        "find",
        "/find",
        "Find",
        "What happened to a message, and which rule decided?",
        find.query,
        (*_PERIOD, "q", "sender", "to", "ip", "domain", "reason", "plugin", "result"),
    ),
    View("outcomes", "/outcomes", "Outcomes", "Is today normal?", outcomes.query, _PERIOD),
    View(
        "reasons",
        "/reasons",
        "Reasons",
        "What refuses most, and what has changed?",
        reasons.query,
        _PERIOD,
    ),
    View(
        "traps",
        "/traps",
        "Traps",
        "Which traps are hit, by which networks, and when?",
        traps.query,
        _PERIOD,
    ),
    View(
        "review",
        "/review",
        "Trap review",
        "Which addresses should become traps, and what would they have refused?",
        review.query,
        _PERIOD,
        is_scoped=False,
    ),
    View(
        "wrong",
        "/wrong",
        "Wrongly refused?",
        "Was mail of good senders refused or delayed, and what would shadow mode refuse?",
        wrong.query,
        (*_PERIOD, "sender", "to", "ip"),
    ),
    View(
        "authentication",
        "/authentication",
        "Authentication",
        "Who sends as a domain, and who fails?",
        authentication.query,
        (*_PERIOD, "domain"),
    ),
    View(
        "queue",
        "/queue",
        "Queue",
        "What waits, for which next hop, since when, and why?",
        queue.query,
        ("sender", "to"),
        refresh=10,
    ),
    View(
        "dossier",
        "/dossier",
        "Dossier",
        "What is known of this client, network, domain or address?",
        dossier.query,
        (*_PERIOD, "about"),
    ),
    View(
        "health",
        "/health",
        "Health",
        "Is the server well?",
        health.query,
        is_scoped=False,
        refresh=10,
    ),
)
