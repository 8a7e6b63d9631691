"""Values of header fields as people see them.

Trusts: nothing. Nothing is raised, and the time is linear.
"""

import unicodedata

from gatepost.plugins._mime_fields import decoded_words


def shown_text(value: str) -> str:
    """Return a value as people see it: decoded, without characters that have no width.

    Compatible forms of characters become the usual ones, such as a full-width @ (NFKC).
    """
    text = unicodedata.normalize("NFKC", decoded_words(value))
    if text.isascii():
        return text
    return "".join(one for one in text if unicodedata.category(one) != "Cf")
