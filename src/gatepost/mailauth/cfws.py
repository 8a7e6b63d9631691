"""Comments and folding white space of header fields: RFC 5322 section 3.2.2.

Security: the text comes from clients. The time is linear in its length.

Limits: comments can be nested MAX_DEPTH deep; a deeper one counts as a comment that does not end.
"""

import re

MAX_DEPTH = 100

_SPACE = re.compile(r"\s++")
# What matters in a comment: a quoted pair, the start and the end of a comment.
_MARK = re.compile(r"(?s)\\.|[()]")


def skip_cfws(text: str, at: int = 0) -> int | None:
    """Return the position after white space and comments; None if a comment does not end."""
    end: int | None = at
    while end is not None:
        at = end
        space = _SPACE.match(text, at)
        if space is not None:
            end = space.end()
        elif text.startswith("(", at):
            end = skip_comment(text, at)
        else:
            return at
    return None


def skip_comment(text: str, at: int) -> int | None:
    """Return the position after the comment that starts at `at`; None if it does not end."""
    depth = 0
    for mark in _MARK.finditer(text, at):
        if mark[0] == "(":
            depth += 1
            if depth > MAX_DEPTH:
                return None
        elif mark[0] == ")":
            depth -= 1
            if not depth:
                return mark.end()
    return None
