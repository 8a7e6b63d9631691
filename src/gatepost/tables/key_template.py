"""Texts with the key of a look-up in them, such as "users:{key}" or "(uid={user})".

The placeholders are `{key}`, and its parts before and after the last `@`: `{user}` and `{domain}`.
The values are escaped by the caller's function, the text is not: it comes from the configuration.
"""

import re
from collections.abc import Callable
from typing import Final

_PLACEHOLDER: Final = re.compile(r"\{(key|user|domain)\}")


class KeyTemplate:
    """A text with at least one placeholder; raises ValueError for another one."""

    def __init__(self, text: str) -> None:
        if not _PLACEHOLDER.search(text):
            raise ValueError(f"expected {{key}}, {{user}} or {{domain}}, found {text!r}")
        self._text = text

    def fill(self, key: str, escape: Callable[[str], str] = str) -> str | None:
        """Return the text for a key, None if the key has no value for a placeholder."""
        user, _, domain = key.rpartition("@")
        values = {"key": key, "user": user, "domain": domain}
        if not all(values[name] for name in _PLACEHOLDER.findall(self._text)):
            return None
        return _PLACEHOLDER.sub(lambda found: escape(values[found[1]]), self._text)
