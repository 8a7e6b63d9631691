"""The values of ESMTP parameters: one reader for each kind, and the writers that a client needs.

A reader returns the checked value, so an event never carries a malformed one. It raises
ValueError with the text for the reply.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from gatepost.wire.smtp.syntax.xtext import decode_xtext, encode_unicode, encode_xtext

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_SIZE_DIGITS = 20  # RFC 1870 s3
# RFC 5321 s4.1.2, esmtp-value. RFC 6531 s3.3 also allows UTF-8; only ORCPT has a use for it.
_VALUE = re.compile(r"[!-<>-~]+")
# RFC 3461 s4.2 and s4.4, in octets as sent. DSNs quote both.
MAX_ENVELOPE_ID = 100
MAX_ORIGINAL_RECIPIENT = 500
# In octets: parameters of plugins.
MAX_ADDED = 500
# The same as excluded characters, because Python compiles a class of all others slowly.
_UTF8_VALUE = re.compile(r"[^\x00- =\x7f-\x9f]+")


class Parameter(NamedTuple):
    """A parameter: how a server reads its value, how a client writes it, the allowed characters."""

    read: Callable[[str], str]
    write: Callable[[str], str] = str
    characters: re.Pattern[str] = _VALUE


def _size(value: str) -> str:
    if not (value.isdecimal() and len(value) <= _SIZE_DIGITS):
        raise ValueError("expected a number of octets")
    return value


def _no_value(value: str) -> str:
    if value:
        raise ValueError("expected no value")
    return ""


def _xtext(value: str) -> str:
    if not value:
        raise ValueError("expected xtext")
    return decode_xtext(value)


def _check_length(value: str, limit: int) -> None:
    if len(value.encode()) > limit:
        raise ValueError(f"expected at most {limit} octets")


def _envelope_id(value: str) -> str:
    _check_length(value, MAX_ENVELOPE_ID)
    return _xtext(value)


def _notify(value: str) -> str:
    words = value.upper().split(",")
    if words != ["NEVER"] and not {"SUCCESS", "FAILURE", "DELAY"}.issuperset(words):
        raise ValueError("expected NEVER or some of SUCCESS, FAILURE, DELAY")
    return value.upper()


def _read_original_recipient(value: str) -> str:
    _check_length(value, MAX_ORIGINAL_RECIPIENT)
    kind, separator, address = value.partition(";")
    if not separator or not _KEYWORD.fullmatch(kind):
        raise ValueError("expected type;address")
    if kind.lower() == "utf-8":
        address = encode_unicode(address)  # US-ASCII can be relayed and quoted everywhere
    return f"{kind};{decode_xtext(address)}"


def _write_original_recipient(value: str) -> str:
    kind, _, address = value.partition(";")
    return f"{kind};{encode_xtext(address)}"


def _added(value: str) -> str:
    _check_length(value, MAX_ADDED)
    return value


def one_of(*words: str) -> Parameter:
    """Return a parameter with one of these values, in upper case."""

    def read(value: str) -> str:
        if value.upper() not in words:
            raise ValueError(f"expected one of {', '.join(words)}")
        return value.upper()

    return Parameter(read)


SIZE = Parameter(_size)
NO_VALUE = Parameter(_no_value)
ADDED = Parameter(_added)
XTEXT = Parameter(_xtext, encode_xtext)
ENVELOPE_ID = Parameter(_envelope_id, encode_xtext)
NOTIFY = Parameter(_notify)
# RFC 6533 s3: with SMTPUTF8 an original recipient may be in UTF-8.
ORIGINAL_RECIPIENT = Parameter(_read_original_recipient, _write_original_recipient, _UTF8_VALUE)
