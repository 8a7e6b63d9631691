"""The limits of texts and lists in records."""

from typing import Final

# Characters of a text: a reply line has at most 512 octets, an address with its domain 320.
MAX_TEXT: Final = 512
# Entries of a list: the default of limits.recipients.
MAX_LISTED: Final = 100


def text(value: str) -> str:
    """Return a text of at most MAX_TEXT characters; a longer one ends in an ellipsis."""
    return value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 1] + "…"
