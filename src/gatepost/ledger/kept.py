"""Encoded records with what the index and the counts need of them.

Limits: MAX_RECORD octets of a record.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Final

from gatepost.ledger.extract import Extract, extract_of, extracts_of
from gatepost.ledger.records import RecordError
from gatepost.ledger.shape import Shape, Shapes

MAX_RECORD: Final = 1 << 20

_shapes: Final = Shapes()


class Kept:
    """Records that can be read: their octets, extracts and shapes, in the same order.

    `problem` is the reason why one of the others cannot be read, "" without any.
    """

    __slots__ = ("bodies", "extracts", "problem", "shapes")

    def __init__(
        self,
        bodies: list[bytes],
        extracts: list[Extract],
        shapes: list[Shape],
        problem: str = "",
    ) -> None:
        self.bodies = bodies
        self.extracts = extracts
        self.shapes = shapes
        self.problem = problem


def kept_of(records: Sequence[bytes]) -> Kept:
    """Return those of some encoded records that can be read, have a time and are not too large."""
    try:
        extracts = extracts_of(records)
    except RecordError:
        return _one_by_one(records)
    # Infinite times have no finite sum.
    if isfinite(sum([one.time for one in extracts])) and sum(map(len, records)) <= MAX_RECORD:
        return Kept([*records], extracts, _shapes.of(extracts))
    return _one_by_one(records)


def _one_by_one(records: Sequence[bytes]) -> Kept:
    bodies: list[bytes] = []
    extracts: list[Extract] = []
    problem = ""
    for body in records:
        try:
            extracts.append(_checked(body))
        except RecordError as error:
            problem = problem or str(error)
        else:
            bodies.append(body)
    return Kept(bodies, extracts, _shapes.of(extracts), problem)


def _checked(body: bytes) -> Extract:
    """Return the extract of a record; raises `RecordError` if it has no time or is too large."""
    extract = extract_of(body)
    if len(body) > MAX_RECORD:
        raise RecordError(f"expected at most {MAX_RECORD} octets, found {len(body)}")
    if not isfinite(extract.time):
        raise RecordError(f"expected a time, found {extract.time}")
    return extract
