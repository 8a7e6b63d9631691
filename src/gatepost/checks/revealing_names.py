"""Names of hosts from which senders conclude that a domain has traps or a filter.

Programs that clean lists of addresses drop each domain whose mail server has such a word in its
name. That protects the users too, but traps of the domain get no mail.

Only the labels below the domain are judged: an organisation cannot change its domain. Words that
are parts of many other words count as whole words only.
"""

import re
from collections.abc import Sequence

# They count anywhere in a label.
PARTS = ("spam", "honey", "trap", "junk", "virus", "filter")
# They count as a whole word: between the ends of a label, hyphens and digits.
WORDS = frozenset({"abuse", "black", "lab", "labs", "list", "lists", "rbl", "research", "security"})

_BOUNDARY = re.compile(r"[^a-z]+")


def revealing_word(name: str, domains: Sequence[str] = ()) -> str:
    """Return the word in the name of a host, "" if there is none; `domains` are not judged."""
    labels = _below(name.lower(), domains)
    for label in labels:
        found = next((one for one in PARTS if one in label), "")
        found = found or next((one for one in _BOUNDARY.split(label) if one in WORDS), "")
        if found:
            return found
    return ""


def about(name: str, word: str) -> str:
    """Return the warning about a revealing name."""
    return (
        f'the name {name} contains "{word}": programs that clean lists of addresses drop all'
        " addresses of domains with such a mail server, so traps get less mail"
    )


def _below(name: str, domains: Sequence[str]) -> list[str]:
    """Return the labels below one of the domains, or else below the last two."""
    suffixes = [one for one in domains if name.endswith(f".{one}")]
    if suffixes:
        return name.removesuffix(f".{max(suffixes, key=len)}").split(".")
    return name.split(".")[:-2]
