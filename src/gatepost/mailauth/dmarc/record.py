"""The DMARC policy record: RFC 9989 sections 4.7 and 4.8.

A text is a DMARC record if its first tag is `v=DMARC1`. Everything after that is read leniently, as
section 4.7 requires: a tag with a wrong value counts as absent, and unknown tags are ignored. The
tags `pct`, `rf` and `ri` of RFC 7489 are unknown. Names of tags are compared without regard to
case, as the grammar does for `v`. Of two tags with the same name, the first one counts.

Security: anyone can publish a record. Its text is examined in linear time.

Limits: MOST_REMARKS remarks are kept. The last records of up to CACHED_LENGTH characters are kept
by their text.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from gatepost.model.structs import Frozen

Policy: TypeAlias = Literal["none", "quarantine", "reject"]

MOST_REMARKS = 20
# Usual records have 50 to 200 characters. All that are kept take at most about 2 MB.
CACHED_LENGTH = 512

_REMOVED = "has no effect: RFC 9989 has removed it"
_RETIRED = {"pct": _REMOVED, "rf": _REMOVED, "ri": _REMOVED}
_WITHOUT_POLICY = {
    True: "without valid policies the record counts as p=none, because of its rua",
    False: "without valid policies and without rua, DMARC does not apply",
}
_VERSION = re.compile(r"[vV][ \t]*+=[ \t]*+DMARC1[ \t]*+(?:;|\Z)")
_NAME = re.compile(r"[A-Za-z]+")
_VALUE = re.compile(r"[ -:<-~]+")
_OPTIONS = re.compile(r"[01ds](?::[01ds])*+")
# RFC 3986: a scheme and what follows; "," and "!" must be encoded (RFC 9989 s4.8).
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*+:[^\s,!;\"<>\\^`{|}\x7f-\U0010ffff]++")
_MAILTO = re.compile(r"mailto:[^@]+@[^@]+", re.IGNORECASE)
# The largest size of a report in RFC 7489.
_SIZE = re.compile(r"![0-9]+[kmgt]?\Z", re.IGNORECASE)


class Record(Frozen, frozen=True):
    """A policy record.

    `p`, `sp` and `np` are the policies for the domain, its subdomains, and those that do not exist;
    None without the tag. `adkim` and `aspf` are "r" (relaxed) or "s" (strict). `psd` is "y" for a
    public suffix, "n" for an organizational domain, "u" for neither. `testing` is `t=y`. `rua` and
    `ruf` are the URIs for reports. `remarks` lists for people what was ignored. `applies` is false
    if the record has neither a valid policy nor an address for reports: DMARC then does not apply
    (section 4.10.1).
    """

    text: str
    p: Policy | None = None
    sp: Policy | None = None
    np: Policy | None = None
    adkim: Literal["r", "s"] = "r"
    aspf: Literal["r", "s"] = "r"
    psd: Literal["y", "n", "u"] = "u"
    testing: bool = False
    rua: tuple[str, ...] = ()
    ruf: tuple[str, ...] = ()
    fo: tuple[str, ...] = ("0",)
    remarks: tuple[str, ...] = ()
    applies: bool = True


class _Tag(NamedTuple):
    """A tag: the field of `Record` and its value, or why the tag is ignored."""

    name: str
    field: str = ""
    value: Any = None
    remark: str = ""


def parse_record(text: str) -> Record | None:
    """Return the record of a text, None if it is no DMARC record."""
    return _parse_cached(text) if len(text) <= CACHED_LENGTH else _parse(text)


def _parse(text: str) -> Record | None:
    version = _VERSION.match(text)
    if version is None:
        return None
    tags, remarks, wrong = dict[str, Any](), list[str](), set[str]()
    for part in filter(None, map(_stripped, text[version.end() :].split(";"))):
        tag = _read_tag(part)
        if tag.field in tags:
            remarks.append(f"{tag.name} occurs again")
        elif tag.field:
            tags[tag.field] = tag.value
        else:
            remarks.append(tag.remark)
            wrong.add(tag.name)
    applies = True
    if "p" not in tags or wrong & {"sp", "np"}:  # section 4.10.1
        applies = "rua" in tags
        remarks.insert(0, _WITHOUT_POLICY[applies])
        tags |= {"p": "none", "sp": None, "np": None}
    return Record(text, **tags, remarks=tuple(remarks[:MOST_REMARKS]), applies=applies)


_parse_cached = lru_cache(512)(_parse)


def _stripped(text: str) -> str:
    return text.strip(" \t")


def _read_tag(part: str) -> _Tag:
    name, equals, value = map(_stripped, part.partition("="))
    name = name.lower()
    if not (equals and _NAME.fullmatch(name) and _VALUE.fullmatch(value)):
        return _Tag(name, remark=f"expected TAG=VALUE, found {_shown(part)}")
    if name not in _TAGS:
        return _Tag(name, remark=f"{name[:20]} {_RETIRED.get(name, 'is unknown')}")
    field, expected, read = _TAGS[name]
    found = read(value)
    if found is None:
        return _Tag(name, remark=f"{name}: expected {expected}, found {_shown(value)}")
    return _Tag(name, field, found)


def _word(words: Mapping[str, Any]) -> Callable[[str], Any]:
    """Return a reader of one of the words."""
    return lambda value: words.get(value.lower())


def _options(value: str) -> tuple[str, ...] | None:
    return tuple(value.lower().split(":")) if _OPTIONS.fullmatch(value.lower()) else None


def _uris(value: str) -> tuple[str, ...] | None:
    found = [_SIZE.sub("", _stripped(one)) for one in value.split(",")]
    return tuple(one for one in found if _is_uri(one)) or None


def _is_uri(text: str) -> bool:
    if _URI.fullmatch(text) is None:
        return False
    return text[:7].lower() != "mailto:" or _MAILTO.fullmatch(text) is not None


def _shown(text: str) -> str:
    return ascii(text)[:60]


_POLICIES = ("none, quarantine or reject", _word({one: one for one in get_args(Policy)}))
_MODES = ("r or s", _word({"r": "r", "s": "s"}))
_ADDRESSES = ("URIs such as mailto:reports@example.com", _uris)

# The field of each tag, what is expected, and its reader, which returns None for a wrong value.
_TAGS: Mapping[str, tuple[str, str, Callable[[str], Any]]] = {
    "p": ("p", *_POLICIES),
    "sp": ("sp", *_POLICIES),
    "np": ("np", *_POLICIES),
    "adkim": ("adkim", *_MODES),
    "aspf": ("aspf", *_MODES),
    "psd": ("psd", "y, n or u", _word({"y": "y", "n": "n", "u": "u"})),
    "t": ("testing", "y or n", _word({"y": True, "n": False})),
    "rua": ("rua", *_ADDRESSES),
    "ruf": ("ruf", *_ADDRESSES),
    "fo": ("fo", "0, 1, d or s", _options),
}
