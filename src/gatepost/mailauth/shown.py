"""Untrusted text in reasons: names, terms and problems of others."""

LONGEST = 100


def shown(text: str) -> str:
    """Return untrusted text for people: printable ASCII, cut after LONGEST characters."""
    cut = text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
    return cut if cut.isascii() and cut.isprintable() else ascii(cut)[1:-1]
