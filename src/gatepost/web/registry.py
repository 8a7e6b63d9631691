"""The table of all views, in the order of the navigation."""

from gatepost.web.views import find, health, outcomes, quarantine, queue, reasons, traps
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
        "queue",
        "/queue",
        "Queue",
        "What waits, for which next hop, since when, and why?",
        queue.query,
        ("sender", "to"),
        refresh=10,
    ),
    View(
        "quarantine",
        "/quarantine",
        "Quarantine",
        "What is held, by which plugin, and why?",
        quarantine.query,
        ("sender", "to", "reason", "plugin"),
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
