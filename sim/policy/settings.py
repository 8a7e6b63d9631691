"""Which rules are on: a configuration under test."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True):
    """The rules and shields of a configuration; each can be switched off for an ablation.

    `memory` is "off", "mark" (7 days) or "refuse" (24 hours, then mark). With `lists_only` there
    are no classes and no plugins. `many_unknown` is the smallest number of unknown recipients, 0
    for no such rule. `end` refuses after the content; `held` is the share of messages for traps
    alone that get 250. `errors` is the limit of error replies in a session. `registered` is whether
    the planned traps are learned ones in the registry, and the addresses of A1 too.
    """

    lists_only: bool = False
    many_unknown: int = 10
    message_ids: str = "shadow"
    memory: str = "mark"
    classes: bool = True  # recycled and guessable traps refuse only themselves
    acquainted: bool = True  # good mail on record is a shield
    trusted: bool = True  # our users wrote to the sender
    shared: bool = True  # networks of many organisations are not remembered
    proof: bool = True  # a domain counts only if SPF has passed
    end: bool = False
    held: float = 0.0
    errors: int = 20
    registered: bool = False
    guard: bool = False  # trap_guard exempts known senders, and disarms registered traps


LISTS, DEFAULT, REFUSES = "lists", "default", "+ memory refuses"

_CLASSES = Settings(many_unknown=0, message_ids="off", memory="off")
_ARMED = Settings(message_ids="armed")

# From the rule of the lists alone to everything, one rule more at a time. "default" is what
# `gatepost init --with gateway` installs.
LADDER = {
    LISTS: msgspec.structs.replace(_CLASSES, lists_only=True, classes=False),
    "+ table": _CLASSES,
    "+ many unknown": msgspec.structs.replace(_CLASSES, many_unknown=10),
    DEFAULT: Settings(),
    "+ message identifiers": _ARMED,
    REFUSES: msgspec.structs.replace(_ARMED, memory="refuse"),
}

_BASE = LADDER[REFUSES]
# Everything with refusing, without one rule or shield.
ABLATIONS = {
    "everything": _BASE,
    "no many unknown": msgspec.structs.replace(_BASE, many_unknown=0),
    "no message identifiers": msgspec.structs.replace(_BASE, message_ids="off"),
    "no memory": msgspec.structs.replace(_BASE, memory="off"),
    "no classes": msgspec.structs.replace(_BASE, classes=False),
    "no acquainted senders": msgspec.structs.replace(_BASE, acquainted=False),
    "no trusted senders": msgspec.structs.replace(_BASE, trusted=False),
    "no shared networks": msgspec.structs.replace(_BASE, shared=False),
    "no proof of domains": msgspec.structs.replace(_BASE, proof=False),
}
# Those that attackers of the rules can be stopped by.
SHIELDS = {
    name: ABLATIONS[name]
    for name in (
        *("everything", "no classes", "no acquainted senders", "no trusted senders"),
        *("no shared networks", "no proof of domains"),
    )
}

# For the dictionary and the sorted list: without the limit of errors, which ends a session first.
PATIENT = {
    "errors = 20": LADDER[DEFAULT],
    "errors = 200": msgspec.structs.replace(LADDER[DEFAULT], errors=200),
    "errors = 200, no many unknown": msgspec.structs.replace(
        LADDER[DEFAULT], errors=200, many_unknown=0
    ),
}
# For bulk mail and the sorted list: a smaller number of unknown recipients is a hit.
MINIMUMS = {
    "minimum 10": LADDER[DEFAULT],
    "minimum 8": msgspec.structs.replace(LADDER[DEFAULT], many_unknown=8),
    "minimum 5": msgspec.structs.replace(LADDER[DEFAULT], many_unknown=5),
    "no such rule": msgspec.structs.replace(LADDER[DEFAULT], many_unknown=0),
}
# For the poisoner and the disarmer: traps that a program has learned, without and with the guard.
REGISTERED = {
    "registered traps": msgspec.structs.replace(LADDER[DEFAULT], registered=True),
    "and trap_guard": msgspec.structs.replace(LADDER[DEFAULT], registered=True, guard=True),
}
