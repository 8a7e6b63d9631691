"""Read the reply of rspamd to `checkv2`: JSON of its actions, symbols and header fields.

Only what the plugin uses is read. Text of the message can be in it, also octets that are not UTF-8:
they become U+FFFD, so that no sender can make the reply unreadable.

Trusts: nothing; a reply of another form is a ValueError. Limits: LARGEST octets.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import field

# A reply with hundreds of symbols and their options has some ten KiB.
LARGEST = 1024 * 1024

Scalar = str | int | float | bool


class Placed(msgspec.Struct):
    """A value of a header field and its place: from 0 on in front of the others, -1 behind them."""

    value: Scalar
    order: int = -1


Values = Scalar | Placed | list[Scalar | Placed]
Numbers = int | list[int]


class Milter(msgspec.Struct):
    """The edits that rspamd asks a milter for.

    A number of a field to remove counts from 1, or from the last one if it is negative; 0 is all.
    `reject` is "quarantine" or "discard": what to do instead of a refusal.
    """

    add_headers: dict[str, Values] = field(default_factory=dict)
    remove_headers: dict[str, Numbers] = field(default_factory=dict)
    spam_header: Scalar | dict[str, Scalar] | None = None
    reject: Scalar = ""
    no_action: bool = False


class RspamdReply(msgspec.Struct):
    """The reply. `symbols` are the names of the rules that match."""

    action: str
    score: float | None = None
    required_score: float | None = None
    symbols: dict[str, Any] = field(default_factory=dict)
    messages: dict[str, Any] = field(default_factory=dict)
    subject: Scalar | None = None
    milter: Milter = field(default_factory=Milter)
    signatures: str | list[str] = field(default_factory=list, name="dkim-signature")

    @property
    def text(self) -> str | None:
        """The text for the client, None without one."""
        found = self.messages.get("smtp_message")
        return found if isinstance(found, str) and found.strip() else None


_DECODER = msgspec.json.Decoder(RspamdReply, strict=False)


def parse_reply(octets: bytes) -> RspamdReply:
    """Return a reply; raises ValueError."""
    if len(octets) > LARGEST:
        raise ValueError(f"the reply has more than {LARGEST} octets")
    try:
        return _DECODER.decode(octets.decode("utf-8", "replace"))
    except RecursionError:
        raise ValueError("the reply is nested too deeply") from None


class _LearnReply(msgspec.Struct):
    error: str = ""


# OK; or the message has been learned before.
_LEARNED = (200, 208)
_LEARN_DECODER = msgspec.json.Decoder(_LearnReply)
_LONGEST_ERROR = 200


def check_learned(status: int, octets: bytes) -> None:
    """Raise ValueError unless a reply of the controller is that a message was learned."""
    if status in _LEARNED:
        return
    try:
        error = _LEARN_DECODER.decode(octets).error
    except (ValueError, RecursionError):
        error = ""
    text = "".join(filter(str.isprintable, error))[:_LONGEST_ERROR]
    raise ValueError(f"rspamd has not learned the message: HTTP status {status} {text}".rstrip())


class Added(NamedTuple):
    """A field to add: its name, its value in one line, and whether it comes in front."""

    name: str
    value: str
    first: bool


def added(fields: Mapping[str, Values]) -> Iterator[Added]:
    """Yield the fields to add."""
    for name, values in fields.items():
        for one in values if isinstance(values, list) else [values]:
            placed = one if isinstance(one, Placed) else Placed(one)
            yield Added(name, unfolded(placed.value), placed.order >= 0)


def removed(fields: Mapping[str, Numbers]) -> Iterator[tuple[str, frozenset[int]]]:
    """Yield the name of fields to remove with their numbers, none for all."""
    for name, numbers in fields.items():
        which = frozenset(numbers if isinstance(numbers, list) else [numbers])
        yield name, frozenset() if 0 in which else which


def unfolded(value: Scalar) -> str:
    """Return the value of a field in one line."""
    return " ".join(str(value).split())
