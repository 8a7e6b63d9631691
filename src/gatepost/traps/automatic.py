"""Automatic answers, by the header fields of their content.

Vacation programs, read receipts and some servers answer to a forged message with the address of a
person, or of a robot that `senders` does not have. RFC 3834 has the fields that show it; the other
fields are older habits. `SIGNS` has a row for each.

Trusts: the fields, which every sender can write. So the caller uses the answer only where a mistake
costs little: the hit of a trap that was found by a rule, and memories. Limits: a robot that writes
none of these fields is not recognised.
"""

import re

from gatepost.model.headers import Headers

# RFC 3834 section 5: a keyword, then parameters. RFC 5322 permits comments.
_COMMENTS = re.compile(r"\([^()]*\)")

# The expression that the value of a field must match, in lower case and without comments.
SIGNS = (
    ("Auto-Submitted", re.compile(r"(?!no(?:\s*(?:;|$)))[a-z]")),
    ("Content-Type", re.compile(r"multipart/report\s*(?:;|$)")),
    ("Precedence", re.compile(r"auto[_-]reply$")),
    ("X-Autoreply", re.compile(r"(?!no$).")),
    ("X-Autorespond", re.compile(r"(?!no$).")),
)


def is_automatic_answer(headers: Headers) -> bool:
    """Return whether the header fields of a message show that a program has answered."""
    return any(
        sign.match(_COMMENTS.sub("", value).strip().lower())
        for name, sign in SIGNS
        for value in headers.get_all(name)
    )
