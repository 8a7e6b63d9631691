"""Write a trap list of any size: always the same, in a scattered order."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK = 100_000
STRIDE = 7_368_787  # prime and larger than any size, so that i * STRIDE % size is a permutation


def address(number: int) -> str:
    """Return a trap address of typical length (29 octets)."""
    return f"user{number:07d}@d{number % 9973:04d}.example.org"


def addresses(size: int) -> Iterator[str]:
    """Yield ``size`` different addresses in a scattered order."""
    for index in range(size):
        yield address(index * STRIDE % size)


def write_traps(path: Path, size: int, first: str, words: str = "") -> None:
    """Write a list of ``first`` and ``size`` more addresses, or an empty list for size 0.

    ``words`` follow each address.
    """
    lines = addresses(size)
    end = f" {words}\n" if words else "\n"
    with path.open("w", encoding="ascii") as out:
        if size:
            out.write(f"{first}{end}")
        for start in range(0, size, CHUNK):
            count = min(CHUNK, size - start)
            out.write("".join(f"{next(lines)}{end}" for _ in range(count)))


def write_registry(path: Path, size: int, first: str) -> None:
    """Write a registry of ``first`` and ``size`` more addresses."""
    write_traps(
        path, size, first, "class=pristine spoil=yes by=bench at=2026-01-01T00:00:00Z state=armed"
    )
