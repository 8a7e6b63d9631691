"""Write a trap list of any size: the same every time, in no order that a server could use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK = 100_000
STRIDE = 7_368_787  # prime and above any size used, so that i * STRIDE % size visits every number


def address(number: int) -> str:
    """Return the address of a trap, about as long as real ones are (29 octets)."""
    return f"user{number:07d}@d{number % 9973:04d}.example.org"


def addresses(size: int) -> Iterator[str]:
    """Yield ``size`` different addresses in a scattered order."""
    for index in range(size):
        yield address(index * STRIDE % size)


def write_traps(path: Path, size: int, first: str) -> None:
    """Write a list with ``first`` and ``size`` more addresses; size 0 is an empty list."""
    lines = addresses(size)
    with path.open("w", encoding="ascii") as out:
        if size:
            out.write(f"{first}\n")
        for start in range(0, size, CHUNK):
            count = min(CHUNK, size - start)
            out.write("".join(f"{next(lines)}\n" for _ in range(count)))
