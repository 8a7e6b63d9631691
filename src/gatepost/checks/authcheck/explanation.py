"""Explain the authentication of one message in lines of text.

Security: texts come from messages and records. `gatepost.ledger.words.fitting` makes its lines
printable.

Limits: MAX_ANSWERS records of an answer are shown, and MAX_OCTETS characters of each.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from gatepost.checks.authcheck.evaluation import Envelope, Evaluation
from gatepost.checks.authcheck.hints import hints
from gatepost.ledger.words.fitting import Line, Part, padded, wrapped
from gatepost.ledger.words.wording import octets, path
from gatepost.mailauth.dmarc import DmarcResult
from gatepost.net.questions import Answer, Question

MAX_ANSWERS = 10
MAX_OCTETS = 1000

# Columns of the names on the left.
LABEL = 13
NARROWEST = LABEL + 20

_STYLES: Mapping[str, str] = {
    "pass": "accepted",
    "fail": "refused",
    "softfail": "refused",
    "permerror": "refused",
    "policy": "refused",
    "temperror": "deferred",
}
_HEADLINES: Mapping[str, str] = {
    "pass": "DMARC passes",
    "none": "DMARC does not apply",
    "temperror": "DMARC could not be evaluated",
    "permerror": "DMARC cannot be evaluated",
}
_REQUESTS: Mapping[str, str] = {
    "none": "requests no action",
    "quarantine": "requests to treat the message as suspicious",
    "reject": "requests to reject the message",
}
_STATUSES: Mapping[str, str] = {
    "empty": "no such record",
    "absent": "the name does not exist",
    "failed": "no answer",
}


class Report(msgspec.Struct, frozen=True):
    """The facts to explain: the file and its size, what is known of the client, and the results.

    `bare_lf` is whether lines in LF were read as CRLF, `lookups` are questions with their answers.
    """

    name: str
    octets: int
    bare_lf: bool
    envelope: Envelope
    evaluation: Evaluation
    lookups: Sequence[tuple[Question, Answer]]


class _Row(NamedTuple):
    """A name on the left, "" for none, and a text on the right."""

    name: str
    text: str
    style: str = ""


def explain(report: Report, width: int = 80) -> Iterator[Line]:
    """Yield the lines of a report, each of at most `width` columns."""
    width = max(width, NARROWEST)
    dmarc = report.evaluation.dmarc
    for line in wrapped(_headline(dmarc), width):
        yield (Part(line, _STYLES.get(dmarc.result, "heading")),)
    for section in (
        _message(report),
        _results(report.evaluation),
        _hints(report),
        _lookups(report),
    ):
        rows = [*section]
        if rows:
            yield ()
        for row in rows:
            yield from _lines(row, width)


def _lines(row: _Row, width: int) -> Iterator[Line]:
    name = row.name
    for line in wrapped(row.text, width - LABEL):
        yield Part(padded(name, LABEL), "heading"), Part(line, row.style)
        name = ""


def _headline(dmarc: DmarcResult) -> str:
    if dmarc.result == "fail":
        return f"DMARC fails, and {dmarc.record_domain} {_REQUESTS[dmarc.disposition]}."
    return f"{_HEADLINES[dmarc.result]}: {dmarc.reason}."


def _message(report: Report) -> Iterator[_Row]:
    envelope = report.envelope
    ends = "; lines that end in LF were read as CRLF" if report.bare_lf else ""
    yield _Row("Message", f"{report.name}, {octets(report.octets)}{ends}")
    yield _Row("Client", f"{envelope.ip or 'not known'}, HELO {envelope.helo or 'not known'}")
    yield _Row("MAIL FROM", path(envelope.sender))
    dmarc = report.evaluation.dmarc
    yield _Row("From", dmarc.domain or dmarc.reason)


def _results(found: Evaluation) -> Iterator[_Row]:
    yield _result_row("SPF", found.spf.result, found.spf.reason)
    yield from (_Row("", step) for step in found.steps)
    if not found.dkim:
        yield _result_row("DKIM", "none", "the message has no signature")
    for one in found.dkim:
        bits = f", {one.bits} bits" if one.bits else ""
        yield _result_row("DKIM", one.result, f"{one.domain or 'unknown domain'}: {one.reason}")
        yield _Row("", f"selector {one.selector or 'unknown'}, {one.algorithm or '-'}{bits}")
        if one.testing:
            yield _Row("", "the domain tests DKIM (t=y): a failure counts as no signature")
    yield _result_row("ARC", found.arc.result, found.arc.reason)
    for arc_set in found.arc.sets:
        yield _Row(
            "", f"set {arc_set.instance} of {arc_set.domain}: {arc_set.results}"[:MAX_OCTETS]
        )
    yield from _dmarc(found.dmarc)


def _result_row(name: str, result: str, reason: str) -> _Row:
    return _Row(name, f"{result}: {reason}", _STYLES.get(result, ""))


def _dmarc(dmarc: DmarcResult) -> Iterator[_Row]:
    yield _result_row("DMARC", dmarc.result, dmarc.reason)
    yield from (_Row("", note) for note in dmarc.notes)
    if dmarc.organizational_domain:
        yield _Row("", f"organizational domain: {dmarc.organizational_domain}")
    if dmarc.record is None:
        return
    yield _Row("", f"record of {dmarc.record_domain}: {dmarc.record.text[:MAX_OCTETS]}")
    yield from (_Row("", f"in the record: {remark}") for remark in dmarc.record.remarks)
    for one in dmarc.alignments:
        state = "aligned" if one.aligned else f"not aligned{_because(one.problem)}"
        identifier = one.identifier
        name = f"{identifier.method.upper()} {identifier.result} for {identifier.domain or '-'}"
        yield _Row("", f"{name}: {state} ({one.mode})")
    if dmarc.policy is not None:
        weaker = f", one level weaker than {dmarc.published} (t=y)"
        yield _Row(
            "", f"policy: {dmarc.policy} ({dmarc.tag}){weaker if dmarc.record.testing else ''}"
        )


def _because(problem: str) -> str:
    return f", {problem}" if problem else ""


def _hints(report: Report) -> Iterator[_Row]:
    name = "What to do"
    for hint in hints(report.envelope, report.evaluation):
        yield _Row(name, hint)
        name = ""


def _lookups(report: Report) -> Iterator[_Row]:
    name = "Look-ups"
    for question, answer in report.lookups:
        yield _Row(name, str(question))
        yield from (_Row("", f"- {text}") for text in _answers(answer))
        name = ""


def _answers(answer: Answer) -> Iterator[str]:
    if answer.status != "found":
        yield _STATUSES[answer.status] + _because(answer.problem)
        return
    for record in answer.records[:MAX_ANSWERS]:
        text = record if isinstance(record, str) else " ".join(map(str, record))
        yield text[:MAX_OCTETS] + (" …" if len(text) > MAX_OCTETS else "")
    if len(answer.records) > MAX_ANSWERS:
        yield f"and {len(answer.records) - MAX_ANSWERS} more"
