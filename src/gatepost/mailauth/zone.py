"""Records as a value, and a driver that answers a check from them, without a network.

The form is that of the RFC 7208 test suite: a mapping of a name to a list of items. An item is
{TYPE: value}, or the text "TIMEOUT". For tests, and for the zones of users in JSON:

    zone = Zone({"example.com": [{"TXT": "v=spf1 mx -all"}, {"MX": [10, "mx.example.com"]}],
                 "mx.example.com": [{"A": "192.0.2.1"}], "slow.example.com": ["TIMEOUT"]})
    result = ask_zone(check_host(...), zone)

Security: a zone may be any parsed JSON. It is examined completely before the first question.
Limits: an alias (CNAME) is followed MAX_ALIASES times, then the question fails.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, TypeVar

from gatepost.model.address import domain_key
from gatepost.net.questions import ABSENT, Answer, Check, Question, found

T = TypeVar("T")

MAX_ALIASES = 16
MAX_NAME = 253  # RFC 1035 s2.3.4, as text without the final dot
TIMEOUT = "TIMEOUT"
NONE = "NONE"

_OTHER_TYPE = re.compile(r"[A-Z][A-Z0-9]{0,15}")
_TIMED_OUT = Answer("failed", (), "no answer in time")
_LOOP = Answer("failed", (), f"more than {MAX_ALIASES} aliases (CNAME) in a row")


class Zone:
    """The records of names.

    Names ignore case and a final dot. Names above a name of the zone exist, without a record. Types
    and their values:

    - A, AAAA: an IP address. MX: [preference, host]; the host "" is the root. CNAME: a name.
    - PTR: a name. The name of the item is the reverse name or the IP address itself.
    - TXT: a text, or a list of strings that are joined; "NONE" is no record.
    - SPF: as TXT, which it is unless the name has an item TXT.
    - "TIMEOUT" as value: questions of this type fail. As item: those of every type without a value.
    - Other types, such as NS: the name exists.

    Raises ValueError with the name, the item and the expected form.
    """

    def __init__(self, records: Mapping[str, Sequence[Any]]) -> None:
        self._names: dict[str, dict[str, list[Any]]] = {}
        self._failing: set[tuple[str, str]] = set()
        if not isinstance(records, Mapping):
            raise _wrong("names with lists of records", records)
        for name, items in records.items():
            self._add_name(name, items)
        for name in list(self._names):
            self._add_parents(name)

    def _add_name(self, name: str, items: Sequence[Any]) -> None:
        if not isinstance(name, str):
            raise _wrong("a name as text", name)
        key = _owner(name)
        if len(key) > MAX_NAME:
            raise _wrong(f"a name of at most {MAX_NAME} octets", name)
        if not isinstance(items, list | tuple):
            raise _wrong(f"a list of records for {_shown(name)}", items)
        types = self._names.setdefault(key, {})
        for number, item in enumerate(items, 1):
            try:
                self._add_item(key, item)
            except ValueError as error:
                raise ValueError(f"{_shown(name)}, record {number}: {error}") from None
        texts = types.pop("SPF", [])
        if texts and "TXT" not in types:
            types["TXT"] = texts

    def _add_item(self, key: str, item: Any) -> None:
        if item == TIMEOUT:
            self._failing.add((key, ""))
            return
        if not isinstance(item, Mapping) or not item:
            raise _wrong(f'{{TYPE: value}} or "{TIMEOUT}"', item)
        for kind, value in item.items():
            self._add_record(key, kind, value)

    def _add_record(self, key: str, kind: Any, value: Any) -> None:
        if not isinstance(kind, str) or not _OTHER_TYPE.fullmatch(kind):
            raise _wrong("a type of record such as TXT", kind)
        records = self._names[key].setdefault(kind, [])
        if value == TIMEOUT:
            self._failing.add((key, kind))
        elif value != NONE or kind not in {"TXT", "SPF"}:
            records.append(_READERS.get(kind, _any)(value))

    def _add_parents(self, name: str) -> None:
        """Add the names above a name, up to one that is there: they exist (RFC 8020)."""
        while "." in name:
            name = name.split(".", 1)[1]
            if name in self._names:
                return
            self._names[name] = {}

    def answer(self, question: Question) -> Answer:
        """Return the answer to a question; aliases are followed."""
        name = _owner(question.name) if question.kind == "PTR" else _name(question.name)
        for _ in range(MAX_ALIASES + 1):
            types = self._names.get(name)
            if types is None:
                return ABSENT
            if self._fails(name, question.kind, types):
                return _TIMED_OUT
            if types.get(question.kind) or not types.get("CNAME"):
                return found(types.get(question.kind, ()))
            name = types["CNAME"][0]
        return _LOOP

    def _fails(self, name: str, kind: str, types: Mapping[str, Sequence[Any]]) -> bool:
        return (name, kind) in self._failing or (
            (name, "") in self._failing and not types.get(kind)
        )


def ask_zone(
    check: Check[T], zone: Zone, trace: Callable[[Question, Answer], Any] | None = None
) -> T:
    """Return the result of a check; `trace` is called with each question and its answer."""
    answers: Sequence[Answer] | None = None
    while True:
        try:
            questions = check.send(answers) if answers is not None else next(check)
        except StopIteration as done:
            result: T = done.value
            return result
        answers = [zone.answer(one) for one in questions]
        if trace is not None:
            for question, answer in zip(questions, answers, strict=True):
                trace(question, answer)


def _owner(name: str) -> str:
    """Return the key of a name; that of an IP address is its reverse name."""
    try:
        return ip_address(name).reverse_pointer
    except ValueError:
        return _name(name)


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong("a name", value)
    return domain_key(value).removesuffix(".")


def _ipv4(value: Any) -> str:
    if isinstance(value, str) and _is(IPv4Address, value):
        return value
    raise _wrong("an IPv4 address", value)


def _ipv6(value: Any) -> str:
    if isinstance(value, str) and _is(IPv6Address, value):
        return str(IPv6Address(value))
    raise _wrong("an IPv6 address", value)


def _is(address: Callable[[str], object], text: str) -> bool:
    try:
        address(text)
    except ValueError:
        return False
    return True


def _mx(value: Any) -> tuple[int, str]:
    match value:
        case [int(preference), str(host)] if 0 <= preference <= 0xFFFF:
            return int(preference), _name(host)
    raise _wrong("[preference, host]", value)


def _text(value: Any) -> str:
    parts = [value] if isinstance(value, str) else value
    if isinstance(parts, list | tuple) and all(isinstance(one, str) for one in parts):
        # half of a surrogate pair is possible in JSON, and not in an answer
        return "".join(parts).encode("utf-8", "replace").decode("utf-8")
    raise _wrong("text or a list of strings", value)


def _wrong(expected: str, value: Any) -> ValueError:
    return ValueError(f"expected {expected}, found {_shown(value)}")


def _any(value: Any) -> Any:
    return value


def _shown(value: Any) -> str:
    return ascii(value)[:80]


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "A": _ipv4,
    "AAAA": _ipv6,
    "MX": _mx,
    "TXT": _text,
    "SPF": _text,
    "PTR": _name,
    "CNAME": _name,
}
