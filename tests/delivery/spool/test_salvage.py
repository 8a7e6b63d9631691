"""What can be read of a damaged file comes back whole; nothing else does."""

import random

import pytest
from tests.delivery.spool.samples import facts, parcel, put, recipient, store_at

from gatepost.delivery.spool.salvage import salvage

PAGE = 4096


def written(path, count):
    with store_at(path) as store:
        for number in range(count):
            text = f"message {number} ".encode() * 500
            ref = facts(f"s-1.{number}")
            put(
                store, parcel(recipient("a@example.com"), recipient(due=None), content=text, of=ref)
            )
    return path


def expected(parcel):
    number = parcel.facts.id.removeprefix("s-1.")
    return f"message {number} ".encode() * 500


def test_all_of_a_file_that_is_well(tmp_path):
    path = written(tmp_path / "1.db", 20)
    found = list(salvage(path))
    assert [one.facts.id for one in found] == [f"s-1.{number}" for number in range(20)]
    assert all(b"".join(one.pieces) == expected(one) for one in found)
    assert all([one.due is None for one in found.recipients] == [False, True] for found in found)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_left_of_a_file_with_garbage_in_it(tmp_path, seed):
    path = written(tmp_path / "1.db", 60)
    dice = random.Random(seed)
    with path.open("r+b") as file:
        for page in dice.sample(range(1, path.stat().st_size // PAGE), 2):
            file.seek(page * PAGE)
            file.write(dice.randbytes(PAGE))
    found = list(salvage(path))
    assert len({one.facts.id for one in found}) == len(found)
    assert all(len(b"".join(one.pieces)) == len(expected(one)) for one in found)
    assert all(one.recipients for one in found)


@pytest.mark.parametrize(
    "octets", [b"", b"x" * 10, b"x" * 100_000, b"SQLite format 3\0" + b"\0" * 5000]
)
def test_nothing_of_what_is_no_spool_file(tmp_path, octets):
    path = tmp_path / "1.db"
    path.write_bytes(octets)
    assert list(salvage(path)) == []
