"""Which rules are on: a configuration under test."""

from __future__ import annotations

import msgspec


class Settings(msgspec.Struct, frozen=True):
    """The rules and shields of a configuration; each can be switched off for an ablation.

    `memory` is "off", "mark" (7 days) or "refuse" (24 hours, then mark). With `lists_only` there
    are no classes, and the plugin of the simulator is left out. `end` refuses after the content;
    `held` is the share of messages for traps alone that get 250. `errors` is the limit of error
    replies in a session.
    """

    lists_only: bool = False
    many_unknown: bool = True
    message_ids: bool = True
    memory: str = "mark"
    classes: bool = True  # recycled and guessable traps refuse only themselves
    acquainted: bool = True  # good mail on record is a shield
    trusted: bool = True  # our users wrote to the sender
    shared: bool = True  # networks of many organisations are not remembered
    proof: bool = True  # a domain needs SPF, and from a shared network DKIM too
    bounces: bool = True  # null and bounce-like senders are no evidence
    end: bool = False
    held: float = 0.0
    errors: int = 20


LISTS = Settings(
    lists_only=True, many_unknown=False, message_ids=False, memory="off", classes=False
)
EVERYTHING = Settings()
_CLASSES = Settings(many_unknown=False, message_ids=False, memory="off")

# From the rule of the lists alone to everything, one rule more at a time.
LADDER = {
    "lists": LISTS,
    "+ table": _CLASSES,
    "+ many unknown": msgspec.structs.replace(_CLASSES, many_unknown=True),
    "+ message identifiers": msgspec.structs.replace(EVERYTHING, memory="off"),
    "+ memory marks": EVERYTHING,
    "+ memory refuses": msgspec.structs.replace(EVERYTHING, memory="refuse"),
}

_BASE = LADDER["+ memory refuses"]
# Everything with refusing, without one rule or shield.
ABLATIONS = {
    "everything": _BASE,
    "no many unknown": msgspec.structs.replace(_BASE, many_unknown=False),
    "no message identifiers": msgspec.structs.replace(_BASE, message_ids=False),
    "no memory": msgspec.structs.replace(_BASE, memory="off"),
    "no classes": msgspec.structs.replace(_BASE, classes=False),
    "no acquainted senders": msgspec.structs.replace(_BASE, acquainted=False),
    "no trusted senders": msgspec.structs.replace(_BASE, trusted=False),
    "no shared networks": msgspec.structs.replace(_BASE, shared=False),
    "no proof of domains": msgspec.structs.replace(_BASE, proof=False),
    "no bounces": msgspec.structs.replace(_BASE, bounces=False),
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
    "errors = 20": _BASE,
    "errors = 200": msgspec.structs.replace(_BASE, errors=200),
    "errors = 200, no many unknown": msgspec.structs.replace(_BASE, errors=200, many_unknown=False),
}
