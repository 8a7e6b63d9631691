"""The shape of a record: what it has in common with many others.

Records with the same shape have the same letter, and count in the same totals and metrics, except
for numbers, addresses and entries of traps, which are counted for each record. So the ledger
process counts how often a shape occurs, and spreads that number to totals and metrics much later.
Most records of a server have few shapes.

A shape keeps one of its records as an example. Its key has every field that is counted by shape.

Limits: MOST shapes are remembered. A record with more than LONG entries in its lists, or a gap, has
a shape of its own: clients choose recipients, and examples must not fill the memory.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import compress
from typing import Any, Final, cast

from gatepost.ledger.extract import (
    AnswerExtract,
    ConnectionExtract,
    DeliveryExtract,
    Extract,
    GapExtract,
    NoticeExtract,
    RecipientExtract,
    TransactionExtract,
)
from gatepost.ledger.matching import letter_of
from gatepost.ledger.trap_outcome import outcome_of, standing_of, users_of

MOST: Final = 500
LONG: Final = 20

# None is the key of a record that shares its shape with no other.
ShapeKey = tuple[object, ...] | None


class Shape:
    """A shape: an example of its records, and their letter."""

    __slots__ = ("example", "is_connection", "is_transaction", "letter")

    def __init__(self, example: Extract) -> None:
        self.example = example
        self.letter = letter_of(example)
        self.is_connection = isinstance(example, ConnectionExtract)
        self.is_transaction = isinstance(example, TransactionExtract)


class Shapes:
    """The shapes that are remembered."""

    def __init__(self) -> None:
        self._shapes: dict[ShapeKey, Shape] = {}

    def __len__(self) -> int:
        return len(self._shapes)

    def of(self, extracts: Iterable[Extract]) -> list[Shape]:
        """Return the shape of each record."""
        return [self._of(extract) for extract in extracts]

    def _of(self, extract: Extract) -> Shape:
        key = shape_key(extract)
        found = self._shapes.get(key)
        return self._new(extract, key) if found is None else found

    def _new(self, extract: Extract, key: ShapeKey) -> Shape:
        shape = Shape(extract)
        if key is not None:
            if len(self._shapes) >= MOST:
                self._shapes.clear()
            self._shapes[key] = shape
        return shape


def connections_of(extracts: Iterable[Extract], shapes: Iterable[Shape]) -> list[ConnectionExtract]:
    """Return the connections among records with these shapes."""
    found = compress(extracts, [one.is_connection for one in shapes])
    return list(cast("Iterable[ConnectionExtract]", found))


def transactions_of(
    extracts: Iterable[Extract], shapes: Iterable[Shape]
) -> list[TransactionExtract]:
    """Return the transactions among records with these shapes."""
    found = compress(extracts, [one.is_transaction for one in shapes])
    return list(cast("Iterable[TransactionExtract]", found))


def shape_key(extract: Extract) -> ShapeKey:
    """Return the fields that are counted by shape."""
    return _KEYS[type(extract)](extract)


def _of_connection(one: ConnectionExtract) -> ShapeKey:
    answers = one.answers
    if len(answers) > LONG:
        return None
    opinions = _answers(answers) if answers else ()
    return "connection", one.client.listener, one.end, one.reply[:1], opinions


def _of_transaction(one: TransactionExtract) -> ShapeKey:
    recipients, answers, traps = one.recipients, one.answers, one.traps
    if len(recipients) + len(answers) + len(traps) > LONG:
        return None
    return (
        one.result,
        one.shadowed,
        _results(recipients),
        one.recipients_count,
        _answers(answers) if answers else (),
        _traps(one) if traps else (),
    )


def _answers(answers: Sequence[AnswerExtract]) -> tuple[object, ...]:
    return tuple([(one.by, one.verdict, one.reason, one.shadow) for one in answers])


def _results(recipients: Sequence[RecipientExtract]) -> object:
    if len(recipients) == 1:
        return recipients[0].result
    return tuple([one.result for one in recipients])


def _traps(one: TransactionExtract) -> tuple[object, ...]:
    lists = tuple([trap.list for trap in one.traps])
    trap_class = one.traps[0].trap_class
    has_users = users_of(one) > 0
    return lists, one.traps_count, trap_class, outcome_of(one), has_users, standing_of(one)


def _of_delivery(one: DeliveryExtract) -> ShapeKey:
    return "delivery", one.result, one.destination


def _of_notice(one: NoticeExtract) -> ShapeKey:
    return "notice", one.name


def _of_gap(_one: GapExtract) -> ShapeKey:
    return None


_KEYS: Final[dict[type, Callable[[Any], ShapeKey]]] = {
    ConnectionExtract: _of_connection,
    TransactionExtract: _of_transaction,
    DeliveryExtract: _of_delivery,
    NoticeExtract: _of_notice,
    GapExtract: _of_gap,
}
