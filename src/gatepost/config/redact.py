"""Keep passwords in URLs out of error messages and logs."""

import re

_PASSWORD = re.compile(
    r"(?i)((?:[a-z][a-z0-9+.-]*:)?//|\b[a-z][a-z0-9+.-]*:(?![/\s]))[^\s\"']*?:[^\n]*@"
)
# A socket has no place for a user name, so its password is an option.
_OPTION = re.compile(r"(?i)([?&]password=)[^&\s\"']+")


def redact(text: str) -> str:
    """Return a text with `***` for each user name and password in a URL.

    A password may contain any character, so everything up to the last `@` of the line is removed.
    """
    return _OPTION.sub(r"\1***", _PASSWORD.sub(r"\1***@", text))
