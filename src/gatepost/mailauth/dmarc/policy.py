"""Which record applies, and which policy of it: RFC 9989 section 4.10.1."""

from collections.abc import Mapping
from typing import NamedTuple

from gatepost.mailauth.dmarc.record import Policy, Record
from gatepost.mailauth.dmarc.walk import Records, Walk
from gatepost.net.questions import Check, ask_one

_WEAKER: Mapping[Policy, Policy] = {"reject": "quarantine", "quarantine": "none", "none": "none"}


class Applied(NamedTuple):
    """The policy for an author domain.

    `policy` is the one to be applied, `published` that of the record, `tag` its tag. `problem` is
    why it is not known whether the domain exists; the policy is then the one for a domain that
    exists.
    """

    policy: Policy
    published: Policy
    tag: str
    problem: str = ""


def discover(walk: Walk) -> tuple[str, Record] | None:
    """Return the record that applies and its domain, None if there is none.

    It is that of the author domain, else of its organizational domain, else of the public suffix.
    """
    places = [walk.start, walk.organizational_domain]
    if walk.records and walk.records[-1][1].psd == "y":
        places.append(walk.records[-1][0])
    for domain in places:
        record = walk.record_at(domain)
        if record is not None:
            return domain, record
    return None


def choose(record: Record, domain: str, author: str, records: Records) -> Check[Applied]:
    """Return the policy for an author domain; ask whether it exists if that matters."""
    if domain == author:
        return _applied(record, "p", record.p)
    existing = ("p", record.p) if record.sp is None else ("sp", record.sp)
    if record.np is None or record.np == existing[1]:
        return _applied(record, *existing)
    status, problem = yield from _status(author, records)
    chosen = ("np", record.np) if status == "absent" else existing
    return _applied(record, *chosen)._replace(problem=problem)


def _status(author: str, records: Records) -> Check[tuple[str, str]]:
    """Return the status of a domain, and why it is not known.

    A name below the domain shows that it exists. Otherwise any question does (RFC 8020).
    """
    below = records[author].status
    if below in ("found", "empty"):
        return below, ""
    answer = yield from ask_one("A", author)
    problem = f"A {author}: {answer.problem or 'no answer'}" if answer.status == "failed" else ""
    return answer.status, problem


def _applied(record: Record, tag: str, published: Policy | None) -> Applied:
    published = published or "none"
    return Applied(_WEAKER[published] if record.testing else published, published, tag)
