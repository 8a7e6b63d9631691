"""Local parts that look like the identifier of a message.

Harvesters take a Message-ID for an address, and lists with such addresses are sold for years. No
person ever enters one. So an unknown recipient of this form is a trap without a list, and its form
often has the date of the message it was taken from.

`FORMS` has a row for each sending software, `OWN_FORMS` the addresses that a server itself hands
out for returns and replies: VERP, BATV, SRS and tags. Those are never message identifiers here.

The caller excludes what exists, and null senders. Only the form is judged: the forms are long or
have a date in a plausible range, so that the names of persons and roles are not among them. Case
is needed for the date of Exim alone; every form is found in lower case too.

Limits: a local part over MOST octets is not examined. Each expression is linear in its length.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from string import ascii_lowercase, ascii_uppercase, digits
from typing import NamedTuple

import msgspec

MOST = 256
SHORTEST = 12
# Dates outside this range are no dates. 32 bits end in 2106, and 31 in 2038.
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
_LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()
_BASE62 = {character: at for at, character in enumerate(digits + ascii_uppercase + ascii_lowercase)}
# FILETIME counts 100 ns since 1601; one unit of its upper half is 2**32 of them.
_FILETIME_UNIT = 2**32 / 1e7
_FILETIME_START = -11644473600.0


class MessageId(msgspec.Struct, frozen=True):
    """A local part that looks like a message identifier.

    `form` is the name of the row, `written` the date in it, in seconds since 1970, or None.
    """

    form: str
    written: float | None


class _Form(NamedTuple):
    name: str
    pattern: re.Pattern[str]
    date: Callable[[str], float] | None = None
    must_have_date: bool = False


def recognise(local: str) -> MessageId | None:
    """Return the form that a local part has, or None."""
    if not SHORTEST <= len(local) <= MOST or _impossible(local):
        return None
    for form in FORMS:
        match = form.pattern.fullmatch(local)
        if match is None:
            continue
        written = _date(form, match)
        if written is not None or not form.must_have_date:
            is_own = form.name not in _WITH_SIGNS and is_own_form(local)
            return None if is_own else MessageId(form.name, written)
    return None


def _impossible(local: str) -> bool:
    """Return whether no form can match: all have a digit, except one that begins with `!`.

    Most unknown recipients are names of persons, which need not be compared with each form.
    """
    return _digit(local) is None and local[0] != "!"


def is_own_form(local: str) -> bool:
    """Return whether a local part looks like a return path or a reply address of a server."""
    return any(pattern.search(local) for pattern in OWN_FORMS.values())


def _date(form: _Form, match: re.Match[str]) -> float | None:
    if form.date is None:
        return None
    try:
        written = form.date(match["date"])
    except (ValueError, KeyError, OverflowError):
        return None
    return written if _EARLIEST <= written < _LATEST else None


def _hex_seconds(text: str) -> float:
    return float(int(text, 16))


def _hex_milliseconds(text: str) -> float:
    return int(text, 16) / 1000


def _seconds(text: str) -> float:
    """Return a decimal time of 10 digits; more digits are a fraction."""
    return float(f"{text[:10]}.{text[10:] or 0}")


def _calendar(text: str) -> float:
    """Return a date of 6 (yymmdd), 8, 10, 12 or 14 digits."""
    century = "19" if len(text) in _SHORT and text[0] == "9" else "20"
    full = (century + text if len(text) in _SHORT else text).ljust(14, "0")
    return datetime.strptime(full + "+0000", "%Y%m%d%H%M%S%z").timestamp()


_SHORT = (6,)
_digit = re.compile("[0-9]").search


def _exim(text: str) -> float:
    if text.islower() or text.isupper():
        raise ValueError("the case is lost")
    number = 0
    for character in text:
        number = number * 62 + _BASE62[character]
    return float(number)


def _filetime(text: str) -> float:
    return int(text, 16) * _FILETIME_UNIT + _FILETIME_START


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.ASCII)


_DAY = r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_MINUTE = rf"{_DAY}(?:[01]\d|2[0-3])[0-5]\d"
_SECOND = rf"{_MINUTE}[0-6]\d"
_UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_HEX_PAIR = r"[0-9a-f]{8}\.[0-9a-f]{8}"
# Groups of digits between letters: a name has one or two, a token more.
_MIXED = r"(?=[a-z]*(?:\d+[a-z]+){%d}\d)[0-9a-z]{%d,%d}"
# Exim's time of a message starts with 1 from 1999 to 2028, then with 2.
_EXIM_TIME = r"e?(?P<date>[12][0-9a-z]{5})"

FORMS = (
    _Form("exim", _compiled(rf"{_EXIM_TIME}-[0-9a-z]{{6}}-[0-9a-z]{{2}}"), _exim),
    _Form("exim 4.97", _compiled(rf"{_EXIM_TIME}-[0-9a-z]{{11}}-[0-9a-z]{{4}}"), _exim),
    _Form(
        "counter.time", _compiled(r"[0-9a-f]{4}\.(?P<date>[2-7][0-9a-f]{7})"), _hex_seconds, True
    ),
    _Form("mozilla", _compiled(r"(?P<date>[2-7][0-9a-f]{7})\.\d{4,8}"), _hex_seconds, True),
    _Form(
        "mozilla, hex", _compiled(r"(?P<date>[2-7][0-9a-f]{7})\.[0-9a-f]{6,8}"), _hex_seconds, True
    ),
    _Form(
        "aol", _compiled(r"[0-9a-f]{1,4}\.[0-9a-f]{6,8}\.(?P<date>[2-7][0-9a-f]{7})"), _hex_seconds
    ),
    _Form("qmail", _compiled(rf"(?P<date>{_SECOND})\.\d{{1,7}}\.qmail"), _calendar),
    _Form("yahoo", _compiled(r"\d{5,7}\.\d{3,6}\.qm")),
    _Form("yahoo, java", _compiled(r"\d{4,10}\.\d{3,10}\.(?P<date>1\d{12})"), _seconds, True),
    _Form("mutt", _compiled(rf"(?P<date>{_SECOND})\.g[a-z]\d{{1,7}}"), _calendar),
    _Form("postfix", _compiled(rf"(?P<date>{_SECOND})\.[0-9a-z]{{8,16}}"), _calendar),
    _Form("sendmail", _compiled(rf"(?P<date>{_MINUTE})\.[0-9a-z]{{3,8}}\d{{5,6}}"), _calendar),
    _Form("kmail", _compiled(rf"(?P<date>{_MINUTE})\.\d{{5}}\.[a-z0-9.+-]+"), _calendar),
    _Form(
        "eudora",
        _compiled(rf"\d\d?(?:\.\d+){{2,5}}\.(?P<date>{_SECOND})\.[0-9a-f]{{8}}"),
        _calendar,
    ),
    _Form("the bat", _compiled(rf"\d{{6,10}}\.(?P<date>{_SECOND})"), _calendar),
    _Form(
        "pine",
        _compiled(r"(?:al)?pine\.\w+\.\d+\.\d+[a-z]?\.(?P<date>\d{6})\d{5,10}\.\d+"),
        _calendar,
    ),
    _Form("javamail", _compiled(r"-?\d+\.\d+\.(?P<date>1\d{12})\.javamail\..+"), _seconds),
    _Form("evolution", _compiled(r"(?P<date>\d{9,10})\.\d{1,7}\.\d{1,5}\.camel"), _seconds),
    _Form("gnus", _compiled(r"(?=[a-z]*\d)[0-9a-z]{8,16}\.fsf(?:_-_)?[\w.%-]*")),
    _Form("python", _compiled(r"(?P<date>1\d{11})\.\d{1,7}\.\d{5,20}"), _seconds, True),
    _Form("perl", _compiled(r"(?P<date>1\d{9})\.[0-9a-z]{4,12}\.\d{1,7}"), _seconds, True),
    _Form(
        "outlook",
        _compiled(r"[0-9a-f]{4}(?P<date>01[a-d][0-9a-f]{5})\$[0-9a-f]{8}\$[0-9a-f]{8}"),
        _filetime,
    ),
    _Form("outlook, encoded", _compiled(r"!&!a{5}[0-9a-z+/=!-]{20,}")),
    _Form("exchange online", _compiled(r"[a-z]{2}\d?[a-z]{1,3}\d{1,3}mb\d{3,5}[0-9a-f]{16,40}")),
    _Form("notes", _compiled(rf"of{_HEX_PAIR}-on{_HEX_PAIR}(?:-{_HEX_PAIR})?")),
    _Form("gmail", _compiled(r"ca(?=[^=]*\d)[0-9a-z+_=-]{40,80}")),
    _Form(
        "amazon ses",
        _compiled(rf"[0-9a-f]{{4}}(?P<date>01[0-9a-f]{{10}})-{_UUID}-\d{{6}}"),
        _hex_milliseconds,
    ),
    _Form(
        "mailchimp",
        _compiled(rf"[0-9a-f]{{20,30}}\.\w+\.(?P<date>{_SECOND})\.[0-9a-f.]{{8,30}}"),
        _calendar,
    ),
    _Form("uuid", _compiled(_UUID)),
    _Form("hex", _compiled(r"(?=(?:[a-f]*\d){4})(?=\d*[a-f])[0-9a-f]{16,128}")),
    _Form("token of 14 to 23", _compiled(_MIXED % (3, 14, 23))),
    _Form("token of 24 or more", _compiled(_MIXED % (2, 24, 128))),
)
# The signs of tags and of VERP belong to these forms.
_WITH_SIGNS = frozenset({"gmail", "outlook, encoded"})

OWN_FORMS = {
    "BATV": _compiled(r"^(?:ms)?prvs\d?=|^btv1=="),
    "SRS": _compiled(r"^srs[01][=+-]"),
    "VERP": _compiled(r"=[a-z0-9-]+(?:\.[a-z0-9-]+)+$"),
    "tag": _compiled(r"\+"),
    "returns": _compiled(
        r"^(?:bounces?|b|returns?|rp|rtn|verp|fbl|owner|errors?|complaints?|noreply|no-reply"
        r"|mailer-daemon|ndr)[-_.=+]"
    ),
    "replies": _compiled(
        r"^(?:reply|replies|r|unsub(?:scribe)?|confirm(?:ation)?|notifications?|invite|ticket|case"
        r"|token|msg|thread|comment|todo|task)[-_.=+]"
    ),
    "list manager": _compiled(r"-(?:bounces?|return|owner|request|confirm|unsubscribe)(?:[-+=]|$)"),
}
