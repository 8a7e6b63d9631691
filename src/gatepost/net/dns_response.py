"""The records that answer a question, out of those that a name server sent.

Security: a name server can send records of any name and type. Only those of the question count, at
the end of its aliases (CNAME). Names are compared without case. An answer with other records alone
is a failure: it does not state that there is no record.
Limits: MAX_ALIASES and MAX_RECORDS; an answer beyond them is a failure.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import Any, NamedTuple

from gatepost.net.questions import EMPTY, Answer, Kind

# Resolvers follow between 8 and 17.
MAX_ALIASES = 16
# The names with most records have some hundred (TXT). Reading 1000 takes some milliseconds.
MAX_RECORDS = 1000

_FOREIGN = "the records in the answer have another name or type"


class Response(NamedTuple):
    """The answer to a question, and the seconds for which it holds, None without a TTL.

    `reached` is false if no name server has answered.
    """

    answer: Answer
    seconds: float | None = None
    reached: bool = True


def failure(problem: str, *, reached: bool = True) -> Response:
    """Return a response without a result."""
    return Response(Answer("failed", (), problem), None, reached)


def read_response(records: Sequence[Any], kind: Kind, key: str) -> Response:
    """Return the records of a type and a canonical name; `records` are those of pycares.

    The seconds are the smallest TTL of the aliases and the records.
    """
    if len(records) > MAX_RECORDS:
        return failure(f"the answer has more than {MAX_RECORDS} records")
    aliases, values = _sorted_out(records, kind)
    name, ttl = key, float("inf")
    for _ in range(MAX_ALIASES + 1):
        if name in values:
            found = values[name]
            seconds = min(ttl, *(_ttl(one) for one in found))
            read = READ[kind]
            return Response(Answer("found", [read(one.data) for one in found]), seconds)
        if name not in aliases:
            return failure(_FOREIGN) if records and name == key else Response(EMPTY)
        alias = aliases[name]
        name, ttl = host_name(alias.data.cname), min(ttl, _ttl(alias))
    return failure(f"more than {MAX_ALIASES} aliases")


def _sorted_out(records: Sequence[Any], kind: Kind) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Return the aliases, and the records of a type, by the name of their owner."""
    aliases: dict[str, Any] = {}
    values: defaultdict[str, list[Any]] = defaultdict(list)
    data_type = f"{kind}RecordData"
    for one in records:
        found = type(one.data).__name__
        if found == data_type:
            values[host_name(one.name)].append(one)
        elif found == "CNAMERecordData":
            aliases.setdefault(host_name(one.name), one)
    return aliases, values


def _ttl(record: Any) -> float:
    """Return the TTL; one with the highest bit set is 0 (RFC 2181 section 8)."""
    return float(record.ttl) if record.ttl < 1 << 31 else 0.0


def host_name(text: str) -> str:
    """Return a name as it is compared: lower case, no final dot."""
    return text.rstrip(".").lower()


def _address(data: Any) -> str:
    return str(ip_address(data.addr))


READ: Mapping[Kind, Callable[[Any], Any]] = {
    "A": _address,
    "AAAA": _address,
    "MX": lambda data: (data.priority, host_name(data.exchange)),
    "TXT": lambda data: data.data.decode("utf-8", "replace"),
    "PTR": lambda data: host_name(data.dname),
}
