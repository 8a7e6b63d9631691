"""Addresses that a person may type by mistake instead of another one: one typing error away.

An error is one character left out, added or replaced, or two neighbours exchanged (the distance of
Damerau and Levenshtein is 1). A trap next to the address of a user would refuse mail that a person
has addressed by hand.

Limits: added and replaced characters are those of ALPHABET.
"""

from collections.abc import Iterator

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789.-_"


def neighbours(local: str) -> Iterator[str]:
    """Yield all local parts that are one typing error away, some of them more than once."""
    for at in range(len(local) + 1):
        before, after = local[:at], local[at:]
        if len(local) > 1 and after:
            yield before + after[1:]
        if after:
            yield from (before + one + after[1:] for one in ALPHABET if one != after[0])
        if len(after) > 1 and after[0] != after[1]:
            yield before + after[1] + after[0] + after[2:]
        yield from (before + one + after for one in ALPHABET)
