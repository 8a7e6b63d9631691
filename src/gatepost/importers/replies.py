"""The meaning of a reply: an unknown mailbox, a temporary refusal, a refusal for the content.

Servers answer an unknown recipient with 550 5.1.1 or in words. Enhanced codes are compared first,
because many texts contain "unknown" or "not found" about a host name.
"""

import re

from gatepost.importers.transaction import Status

_ENHANCED = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
_CODE = re.compile(r"(?:^|\s)([245])\d\d(?=[\s-])")
_UNKNOWN_CODES = {("1", "1"), ("1", "6"), ("2", "1"), ("1", "10")}
_UNKNOWN_WORDS = re.compile(
    r"user unknown|unknown user|unknown recipient|no such (?:user|recipient|mailbox|address|person)"
    r"|(?:user|recipient|mailbox|address)(?: \S+)? (?:does not|doesn't) exist"
    r"|no mailbox (?:here )?by that name|mailbox (?:not found|unavailable)"
    r"|invalid (?:recipient|mailbox)|not (?:an )?existing recipient|unrouteable address"
    r"|recipient (?:not found|address rejected: user)|callout verification failure"
    r"|undeliverable address|not a valid mailbox|unknown (?:local part|address)"
    r"|no valid recipient|not listed in the directory|sorry, no mailbox",
    re.IGNORECASE,
)
_ANOTHER_REASON = re.compile(r"relay|helo|sender address|client host|blocked using", re.IGNORECASE)
_CONTENT = re.compile(
    r"spam|virus|malware|infected|phish|banned|content|\bscore\b|bayes|clamav|junk", re.IGNORECASE
)
_TEMPORARY = re.compile(r"temporar|greylist|defer|try again|4\d\d 4\.", re.IGNORECASE)


def status_of(reply: str) -> Status:
    """Return the meaning of a reply to a recipient that was not accepted."""
    if is_temporary(reply):
        return Status.DEFERRED
    return Status.UNKNOWN if is_unknown(reply) else Status.REFUSED


def is_unknown(reply: str) -> bool:
    """Return whether a permanent refusal means that the mailbox does not exist."""
    enhanced = _ENHANCED.search(reply)
    if enhanced is not None and (enhanced[2], enhanced[3]) in _UNKNOWN_CODES:
        return True
    if _ANOTHER_REASON.search(reply):
        return False
    return _UNKNOWN_WORDS.search(reply) is not None


def is_temporary(reply: str) -> bool:
    """Return whether a refusal is a temporary one; the first code decides, then the words."""
    code = _CODE.search(reply) or _ENHANCED.search(reply)
    return code[1] == "4" if code else _TEMPORARY.search(reply) is not None


def is_about_content(reply: str) -> bool:
    """Return whether a refusal of a message is that of a content filter."""
    return _CONTENT.search(reply) is not None
