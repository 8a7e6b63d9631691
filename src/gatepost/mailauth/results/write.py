"""Write an Authentication-Results field: RFC 8601 section 2.2.

This is the only writer of the field. The version is not written: it is 1.

Security: readers trust the field, and values come from clients. A value that is not a token or an
address is a quoted string, in which characters that are not printable ASCII become `?`. Names are
not values: a wrong one is an error of the caller.

Limits: MAX_VALUE characters of a value or a reason; the rest is cut off.
"""

import re
from collections.abc import Iterable, Iterator

from gatepost.mailauth.results.values import MethodResult
from gatepost.model.field import FOLDED

NAME = "Authentication-Results"
MAX_VALUE = 200

_ATOM = r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+"  # RFC 2045 s5.1
_TOKEN = re.compile(_ATOM)
_PLAIN = re.compile(rf"(?:{_ATOM})?@?{_ATOM}")
_SPECIAL = re.compile(r'(["\\])')
_UNPRINTABLE = re.compile(r"[^ -~]")
_KEYWORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")  # RFC 5321 s4.1.2
_PROPERTY = re.compile(rf"{_KEYWORD.pattern}\.{_KEYWORD.pattern}")


def write(authserv_id: str, methods: Iterable[MethodResult]) -> bytes:
    """Return the field, folded, with its final CRLF; without results, it has `none`.

    Raises ValueError for a method, a result or the name of a property that is not a keyword.
    """
    first = authserv_id if _TOKEN.fullmatch(authserv_id) else _quoted(authserv_id)
    lines = [f"{NAME}: {first}"]
    for words in [list(_words(one)) for one in methods] or [["none"]]:
        lines[-1] += ";"
        lines.append("\t")
        for word in words:
            if len(lines[-1]) + len(word) > FOLDED and lines[-1] != "\t":
                lines.append("\t")
            lines[-1] += word if lines[-1] == "\t" else f" {word}"
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def _words(one: MethodResult) -> Iterator[str]:
    version = f"/{one.version}" if one.version != 1 else ""
    yield f"{_checked(one.method, _KEYWORD)}{version}={_checked(one.result, _KEYWORD)}"
    if one.reason:
        yield f"reason={_quoted(one.reason)}"
    for name, value in one.properties:
        yield f"{_checked(name, _PROPERTY)}={_value(value)}"


def _checked(name: str, pattern: re.Pattern[str]) -> str:
    if not pattern.fullmatch(name):
        raise ValueError(f"expected a keyword of RFC 8601, found {name!r}")
    return name


def _value(text: str) -> str:
    text = text[:MAX_VALUE]
    return text if _PLAIN.fullmatch(text) else _quoted(text)


def _quoted(text: str) -> str:
    printable = _UNPRINTABLE.sub("?", text[:MAX_VALUE])
    return '"' + _SPECIAL.sub(r"\\\1", printable) + '"'
