"""The parameters of queries, and the bodies of changes.

Trusts nothing: an unknown parameter, one that occurs twice and a wrong value are errors
(`FilterError`) with the name and what was expected.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from gatepost.checks.trial.envelope import Given
from gatepost.web.changes import LONGEST_NAME, MOST_NAMES
from gatepost.web.filters import MAX_TEXT, PERIODS, RESULTS, FilterError
from gatepost.web.limits import STREAM

LIMIT, MOST = 100, 1000
SECONDS = int(STREAM)
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Name = Annotated[str, msgspec.Meta(max_length=LONGEST_NAME)]


class QueueRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Messages of the queue: their numbers, such as "1-17", or references."""

    messages: Annotated[Sequence[Name], msgspec.Meta(min_length=1, max_length=MOST_NAMES)]


class ForwardRequest(QueueRequest, frozen=True):
    """Messages of the queue, and the address to which they are sent."""

    address: Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]


class AllowRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An entry: `until` is a date, or a time from now such as "30d"; `note` is why.

    `what` is an IP address, a network, a domain, the address of a sender, or "to:" with that of a
    recipient. With `traps` traps have no effect either, with `force` `what` may be very wide.
    """

    what: Text
    until: Text
    note: Text
    traps: bool = False
    force: bool = False


class WhatRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The subject of an entry, or what is to be forgiven."""

    what: Text


class TryRequest(Given, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client, an envelope, and a message in Base64; without one a short message is used.

    `compare` is the name of another configuration next to that of the server, "" for none.
    """

    message: bytes = b""
    compare: str = ""


class Parameter(NamedTuple):
    """A parameter of a query: its meaning, and its values as JSON Schema."""

    about: str
    schema: Mapping[str, Any]


def _text(about: str) -> Parameter:
    return Parameter(about, {"type": "string", "maxLength": MAX_TEXT})


PARAMETERS: Mapping[str, Parameter] = {
    "period": Parameter(
        "A period that ends now. Default: 24h, or all with q.",
        {"type": "string", "enum": list(PERIODS)},
    ),
    "since": _text("The start, such as 2026-11-29T14:00, instead of period."),
    "until": _text("The end."),
    "zone": _text('The zone of since and until: "local", "UTC" or such as "Europe/Berlin".'),
    "q": _text("A reference, an address, a domain, an IP address, a network or a Message-ID."),
    "sender": _text("The sender: an address or a domain."),
    "to": _text("The recipient: an address or a domain."),
    "ip": _text("The client: an IP address or a network."),
    "domain": _text("The domain of the sender or of a recipient."),
    "reason": _text("The reason of the decision."),
    "plugin": _text("The plugin that decided."),
    "result": Parameter("The result.", {"type": "string", "enum": list(RESULTS)}),
    "before": Parameter(
        "Only what is older than this place in the ledger: next of the page before.",
        {"type": "string", "pattern": "^[0-9]{1,8}-[0-9]{1,18}$"},
    ),
    "limit": Parameter(
        f"The number of records. Default: {LIMIT}.",
        {"type": "integer", "minimum": 1, "maximum": MOST},
    ),
    "after": _text("The id of the last event; the header field Last-Event-ID counts first."),
    "seconds": Parameter(
        f"The time after which the stream ends. Default: {SECONDS}.",
        {"type": "integer", "minimum": 1, "maximum": SECONDS},
    ),
}
PERIOD = ("period", "since", "until", "zone")
SELECTIVE = ("sender", "to", "ip", "domain", "reason", "plugin", "result")
FILTERS = (*PERIOD, *SELECTIVE, "before")


def checked(given: Sequence[tuple[str, str]], known: Sequence[str]) -> dict[str, str]:
    """Return the parameters of a query by name; raises `FilterError`."""
    values: dict[str, str] = {}
    for name, value in given:
        if name not in known:
            expected = f"one of {', '.join(known)}" if known else "none"
            raise FilterError(f"unknown parameter {name[:64]!r}: expected {expected}")
        if name in values:
            raise FilterError(f"{name}: expected one value")
        values[name] = value
    return values


def limit_of(values: Mapping[str, str]) -> int:
    """Return the number of records to return; raises `FilterError`."""
    return _number(values, "limit", LIMIT, MOST)


def seconds_of(values: Mapping[str, str]) -> int:
    """Return the seconds that a stream is open; raises `FilterError`."""
    return _number(values, "seconds", SECONDS, SECONDS)


def _number(values: Mapping[str, str], name: str, usual: int, most: int) -> int:
    text = values.get(name, str(usual))
    if text.isascii() and text.isdigit() and len(text) <= len(str(most)):
        found = int(text)
        if 1 <= found <= most:
            return found
    raise FilterError(f"{name}: expected a number from 1 to {most}")
