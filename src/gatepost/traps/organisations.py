"""Organisational domains, where an estimate is enough and no DNS is asked.

It errs towards fewer organisations: all customers of a service that gives names below its own
domain count as one.
"""

# Second-level names under which organisations register in many countries.
_SHARED_NAMES = frozenset(
    {"ac", "co", "com", "edu", "gov", "govt", "ne", "net", "nom", "or", "org"}
)


def organisational(domain: str) -> str:
    """Return the organisational domain, by the number of labels.

    It is an estimate: the last two labels, or three where the second is a name such as `co.uk`.
    A copy of the Public Suffix List would have to be updated.
    """
    labels = domain.rstrip(".").split(".")
    is_shared = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in _SHARED_NAMES
    return ".".join(labels[-3 if is_shared else -2 :])


def is_shared_name(domain: str) -> bool:
    """Return whether many organisations have names below a domain, as far as it is known here."""
    first, _, last = domain.partition(".")
    return not last or ("." not in last and len(last) == 2 and first in _SHARED_NAMES)
