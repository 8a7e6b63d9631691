"""Build an aggregate report: RFC 9990. Nothing is sent, and no report is read.

A report is for one policy domain and one period. `report_lines` yields its XML line by line, so a
report of any size needs little memory. `report_name` is the name of its file.

Security: domains, selectors and reasons come from clients. Text is escaped; a character that XML
does not permit becomes U+FFFD.

Limits: MAX_TEXT characters of a text, and MOST_SIGNATURES signatures of a row, the number that the
RFC recommends; those that pass come first.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from gatepost.mailauth.dmarc.record import Policy, Record

MAX_TEXT = 1000
MOST_SIGNATURES = 100

NAMESPACE = "urn:ietf:params:xml:ns:dmarc-2.0"

Override: TypeAlias = Literal[
    "local_policy", "mailing_list", "other", "policy_test_mode", "trusted_forwarder"
]

_INDENT = "  "
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# XML 1.0 s2.2
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Metadata(msgspec.Struct, frozen=True):
    """The reporter and the period in seconds since 1970; `report_id` is unique.

    `error` is for problems with the policy record, such as several records at a name.
    """

    org_name: str
    email: str
    report_id: str
    begin: int
    end: int
    extra_contact_info: str = ""
    error: str = ""
    generator: str = ""


class DkimRow(NamedTuple):
    """A signature and its result, a word of RFC 8601 section 2.7.1."""

    domain: str
    selector: str
    result: str
    reason: str = ""


class SpfRow(NamedTuple):
    """The domain of MAIL FROM and its result, a word of RFC 8601 section 2.7.2."""

    domain: str
    result: str
    reason: str = ""


class Row(msgspec.Struct, frozen=True):
    """Messages with the same client and the same results.

    `disposition` is what was done: "none", "quarantine", "reject", or "pass" for a message that
    passed while its domain has an enforcing policy. `dkim` and `spf` are whether an aligned
    identifier passed. `reasons` are why a policy was not applied: a type and a comment.
    """

    source_ip: str
    count: int
    disposition: Policy | Literal["pass"]
    dkim: bool
    spf: bool
    header_from: str
    envelope_from: str = ""
    envelope_to: str = ""
    reasons: tuple[tuple[Override, str], ...] = ()
    signatures: tuple[DkimRow, ...] = ()
    sender: SpfRow | None = None


def report_name(reporter: str, domain: str, metadata: Metadata) -> str:
    """Return the name of the file of a report, `.xml`; add `.gz` if it is compressed."""
    return f"{reporter}!{domain}!{metadata.begin}!{metadata.end}!{metadata.report_id}.xml"


def report_lines(
    metadata: Metadata, domain: str, record: Record, rows: Iterable[Row]
) -> Iterator[bytes]:
    """Yield the lines of a report for a policy domain and its record, in UTF-8."""
    yield b'<?xml version="1.0" encoding="UTF-8"?>\n'
    yield f'<feedback xmlns="{NAMESPACE}">\n'.encode()
    yield from _encoded(
        [
            _leaf("version", "1.0"),
            *_group("report_metadata", _metadata(metadata)),
            *_group("policy_published", _policy(domain, record)),
        ]
    )
    for row in rows:
        yield from _encoded(_group("record", _row(row)))
    yield b"</feedback>\n"


def _encoded(lines: Iterable[str]) -> Iterator[bytes]:
    return (f"{_INDENT}{line}\n".encode() for line in lines)


def _metadata(metadata: Metadata) -> Iterator[str]:
    yield _leaf("org_name", metadata.org_name)
    yield _leaf("email", metadata.email)
    yield from _optional("extra_contact_info", metadata.extra_contact_info)
    yield _leaf("report_id", metadata.report_id)
    period = [_leaf("begin", str(metadata.begin)), _leaf("end", str(metadata.end))]
    yield from _group("date_range", period)
    yield from _optional("error", metadata.error)
    yield from _optional("generator", metadata.generator)


def _policy(domain: str, record: Record) -> Iterator[str]:
    yield _leaf("domain", domain)
    yield _leaf("p", record.p or "none")
    yield from _optional("sp", record.sp or "")
    yield from _optional("np", record.np or "")
    yield _leaf("adkim", record.adkim)
    yield _leaf("aspf", record.aspf)
    yield _leaf("discovery_method", "treewalk")
    yield _leaf("fo", ":".join(record.fo))
    yield _leaf("testing", "y" if record.testing else "n")


def _row(row: Row) -> Iterator[str]:
    yield from _group("row", _facts(row))
    yield from _group("identifiers", _identifiers(row))
    yield from _group("auth_results", _results(row))


def _facts(row: Row) -> Iterator[str]:
    yield _leaf("source_ip", row.source_ip)
    yield _leaf("count", str(row.count))
    yield from _group("policy_evaluated", _evaluated(row))


def _evaluated(row: Row) -> Iterator[str]:
    yield _leaf("disposition", row.disposition)
    yield _leaf("dkim", _word(passed=row.dkim))
    yield _leaf("spf", _word(passed=row.spf))
    for kind, comment in row.reasons:
        yield from _group("reason", [_leaf("type", kind), *_optional("comment", comment)])


def _word(*, passed: bool) -> str:
    return "pass" if passed else "fail"


def _identifiers(row: Row) -> Iterator[str]:
    yield _leaf("header_from", row.header_from)
    yield from _optional("envelope_from", row.envelope_from)
    yield from _optional("envelope_to", row.envelope_to)


def _results(row: Row) -> Iterator[str]:
    passed_first = sorted(row.signatures, key=lambda one: one.result != "pass")
    for one in passed_first[:MOST_SIGNATURES]:
        yield from _group("dkim", _dkim(one))
    if row.sender is not None:
        yield from _group("spf", _spf(row.sender))


def _dkim(one: DkimRow) -> Iterator[str]:
    yield _leaf("domain", one.domain)
    yield _leaf("selector", one.selector)
    yield _leaf("result", one.result)
    yield from _optional("human_result", one.reason)


def _spf(one: SpfRow) -> Iterator[str]:
    yield _leaf("domain", one.domain)
    yield _leaf("scope", "mfrom")
    yield _leaf("result", one.result)
    yield from _optional("human_result", one.reason)


def _group(name: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"<{name}>"
    yield from (_INDENT + line for line in lines)
    yield f"</{name}>"


def _leaf(name: str, text: str) -> str:
    safe = _FORBIDDEN.sub("\ufffd", text[:MAX_TEXT]).translate(_ESCAPES)
    return f"<{name}>{safe}</{name}>"


def _optional(name: str, text: str) -> Iterator[str]:
    if text:
        yield _leaf(name, text)
