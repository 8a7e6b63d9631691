"""ESMTP parameters of MAIL and RCPT: RFC 5321 section 4.1.2, and of each extension its own RFC.

A parameter is understood only while its extension is offered; any other is 555 (RFC 5321 section
4.1.1.11). Values are checked here, so an event never carries a malformed one.
"""

import re
from collections.abc import Callable, Collection

from gatepost.model.reply import Reply

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
# RFC 6531 s3.3 allows UTF-8 here as well; one parameter has a use for it, see `_VALUES`.
_VALUE = re.compile(r"[!-<>-~]+")
_UTF8_VALUE = re.compile(r"[!-<>-~\xa0-\U0010ffff]+")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_NOT_XCHAR = re.compile(r"[+= ]")
_HEX_PAIR = re.compile(r"\+([0-9A-F]{2})")
_SIZE = re.compile(r"[0-9]{1,20}")


class ParameterError(Exception):
    """A parameter that cannot be taken; `reply` says why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, text, "5.5.4")


def decode_xtext(value: str) -> str:
    """Decode xtext (RFC 3461 section 4) to printable US-ASCII; raises ValueError."""
    if not _XTEXT.fullmatch(value):
        raise ValueError("expected xtext")
    decoded = _HEX_PAIR.sub(lambda pair: chr(int(pair[1], 16)), value)
    if not (decoded.isascii() and decoded.isprintable()):
        raise ValueError("expected xtext of printable US-ASCII characters")
    return decoded


def encode_xtext(text: str) -> str:
    """Write printable US-ASCII as xtext; raises ValueError for any other text."""
    if not (text.isascii() and text.isprintable()):
        raise ValueError("expected printable US-ASCII characters")
    return _NOT_XCHAR.sub(lambda found: f"+{ord(found[0]):02X}", text)


def encode_unicode(text: str) -> str:
    r"""Write characters outside US-ASCII as \x{HEX} (RFC 6533 section 3)."""
    return "".join(c if c.isascii() else f"\\x{{{ord(c):X}}}" for c in text)


def _xtext(value: str) -> str:
    if not value:
        raise ValueError("expected xtext")
    return decode_xtext(value)


def _no_value(value: str) -> str:
    if value:
        raise ValueError("expected no value")
    return ""


def _size(value: str) -> str:
    if not _SIZE.fullmatch(value):
        raise ValueError("expected a number of octets")
    return value


def _one_of(*words: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value.upper() not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return value.upper()

    return check


def _notify(value: str) -> str:
    words = value.upper().split(",")
    if words != ["NEVER"] and not {"SUCCESS", "FAILURE", "DELAY"}.issuperset(words):
        raise ValueError("expected NEVER or some of SUCCESS, FAILURE, DELAY")
    return value.upper()


def _original_recipient(value: str) -> str:
    kind, separator, address = value.partition(";")
    if not separator or not _KEYWORD.fullmatch(kind):
        raise ValueError("expected type;address")
    if kind.lower() == "utf-8":
        address = encode_unicode(address)  # then it may be passed on, and quoted, anywhere
    return f"{kind};{decode_xtext(address)}"


# verb: keyword: (extension that brings it, check of the value)
PARAMETERS: dict[str, dict[str, tuple[str, Callable[[str], str]]]] = {
    "MAIL": {
        "SIZE": ("SIZE", _size),  # RFC 1870
        "BODY": ("8BITMIME", _one_of("7BIT", "8BITMIME")),  # RFC 6152
        "SMTPUTF8": ("SMTPUTF8", _no_value),  # RFC 6531
        "RET": ("DSN", _one_of("FULL", "HDRS")),  # RFC 3461
        "ENVID": ("DSN", _xtext),
        "AUTH": ("AUTH", _xtext),  # RFC 4954 s5
    },
    "RCPT": {
        "NOTIFY": ("DSN", _notify),
        "ORCPT": ("DSN", _original_recipient),
    },
}

# RFC 6533 s3: where SMTPUTF8 is offered as well an original recipient may be in UTF-8.
_VALUES = {"ORCPT": _UTF8_VALUE}


def parse_params(verb: str, text: str, extensions: Collection[str]) -> dict[str, str]:
    """Parse `KEY=value KEY ...`; raises `ParameterError` with the reply to give."""
    known = PARAMETERS[verb]
    params: dict[str, str] = {}
    for word in text.split():
        keyword, separator, value = word.partition("=")
        if keyword.isascii():
            keyword = keyword.upper()
        extension, check = known.get(keyword, ("", _no_value))
        if extension not in extensions:
            raise ParameterError(555, f"{verb} parameter not recognised: {keyword[:40]}")
        if keyword in params or (separator and not _VALUES.get(keyword, _VALUE).fullmatch(value)):
            raise ParameterError(501, f"Syntax error in {verb} parameter {keyword}")
        try:
            params[keyword] = check(value)
        except ValueError as error:
            raise ParameterError(501, f"{verb} parameter {keyword}: {error}") from None
    return params
