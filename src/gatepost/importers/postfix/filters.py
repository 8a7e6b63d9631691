"""Filters that write the queue ID of a message: amavis, rspamd, opendkim and opendmarc."""

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from gatepost.importers.transaction import Transaction, Verdict

# Returns the transaction of a queue ID.
_Find: TypeAlias = Callable[[str], Transaction | None]

_AMAVIS = re.compile(r"(?:Passed|Blocked) (?P<kind>[A-Z-]+)")
_AMAVIS_ID = re.compile(r"Queue-ID: (\w+)")
_HITS = re.compile(r"Hits: (-?\d+(?:\.\d+)?)")
_RSPAMD_ID = re.compile(r"qid: <(\w+)>")
_RSPAMD = re.compile(
    r"\(\w{1,40}: (?P<spam>[TF]) \((?P<action>[\w ]{1,40})\): \[(?P<score>-?\d+(?:\.\d+)?)/"
)
_ID = re.compile(r"(\w+): ")
_DKIM = re.compile(r"\bd=([\w.-]+)")
_DMARC = re.compile(r"\w+: [\w.-]+ (pass|fail|none)$")
_SPAM = ("SPAM", "INFECTED", "BANNED", "UNCHECKED-VIRUS")
_SPAM_ACTIONS = ("reject", "add header", "rewrite subject")


def _amavis(text: str, find: _Find) -> None:
    match, queue_id = _AMAVIS.search(text), _AMAVIS_ID.search(text)
    found = find(queue_id[1]) if queue_id else None
    if match is not None and found is not None:
        found.verdict = Verdict.SPAM if match["kind"].startswith(_SPAM) else Verdict.CLEAN
        hits = _HITS.search(text)
        found.score = float(hits[1]) if hits else None


def _rspamd(text: str, find: _Find) -> None:
    match, queue_id = _RSPAMD.search(text), _RSPAMD_ID.search(text)
    found = find(queue_id[1]) if queue_id else None
    if match is not None and found is not None:
        is_spam = match["spam"] == "T" or match["action"] in _SPAM_ACTIONS
        found.verdict = Verdict.SPAM if is_spam else Verdict.CLEAN
        found.score = float(match["score"])


def _opendkim(text: str, find: _Find) -> None:
    match, queue_id = _DKIM.search(text), _ID.match(text)
    found = find(queue_id[1]) if queue_id else None
    if match is not None and found is not None and "bad signature" not in text:
        found.dkim.append(match[1].lower())


def _opendmarc(text: str, find: _Find) -> None:
    match, queue_id = _DMARC.match(text), _ID.match(text)
    found = find(queue_id[1]) if queue_id else None
    if match is not None and found is not None:
        found.dmarc = match[1]


FILTERS: Mapping[str, Callable[[str, _Find], None]] = {
    "amavis": _amavis,
    "amavisd": _amavis,
    "rspamd": _rspamd,
    "opendkim": _opendkim,
    "opendmarc": _opendmarc,
}
