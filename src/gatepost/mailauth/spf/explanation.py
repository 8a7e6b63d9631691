"""The explanation of a domain's owner for the result "fail" (RFC 7208 section 6.2).

Security: the text is that of a stranger. It is printable ASCII of at most 500 characters. Name the
domain next to it when you show it (section 11.5.3). Problems with it never change the result.
"""

from gatepost.mailauth.hosts import is_name
from gatepost.mailauth.spf.lookups import Lookups
from gatepost.mailauth.spf.macros import parse_macros
from gatepost.mailauth.spf.problem import ExpectedError
from gatepost.mailauth.spf.record import Record
from gatepost.net.questions import Check, ask_one


def fetch_explanation(lookups: Lookups, record: Record, domain: str) -> Check[str]:
    """Return the explanation that a record names, "" without a usable one.

    Its questions are not counted (RFC 7208 section 4.6.4).
    """
    if record.explanation is None:
        return ""
    target = record.explanation.target
    name = target.name((yield from lookups.values(target, domain)))
    if not is_name(name):
        return ""
    answer = yield from ask_one("TXT", name)
    if len(answer.records) != 1:
        return ""
    return (yield from _expanded(lookups, answer.records[0], domain))


def _expanded(lookups: Lookups, text: str, domain: str) -> Check[str]:
    if not text.isascii() or not text.isprintable():
        return ""
    try:
        parsed = parse_macros(text)
    except ExpectedError:
        return ""
    return parsed.explanation((yield from lookups.values(parsed, domain)))
