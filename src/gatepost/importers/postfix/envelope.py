"""The end of Postfix's lines about refusals: `; from=<…> to=<…> proto=ESMTP helo=<…>`."""

import re

_ENVELOPE = re.compile(
    r"[;,] from=<(?P<sender>[^>]{0,600})>(?:,? to=<(?P<recipient>[^>]{0,600})>)?,? proto=\w{1,20}"
    r"(?:,? helo=<(?P<helo>[^>]{0,600})>)?"
)


def last_envelope(text: str) -> re.Match[str] | None:
    """Return the last match, or None: the reply before it can quote what the client sent."""
    found = None
    for one in _ENVELOPE.finditer(text):
        found = one
    return found
