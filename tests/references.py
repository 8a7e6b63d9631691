"""The references at the end of refusals, which no test can predict."""

import re

_REFERENCE = re.compile(r" \[[0-9a-f]+-[0-9a-f]+(?:\.[0-9]+)?\](?=\r?\n|\Z)")


def without_references(replies):
    """Return the text of replies as it is before references are added."""
    return _REFERENCE.sub("", replies)
