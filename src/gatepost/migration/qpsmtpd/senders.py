"""Checks of the sender: lists, SPF, the domain, greylisting."""

from collections.abc import Mapping

from gatepost.migration.job import Job, Used
from gatepost.migration.qpsmtpd.clients import mode, reaction
from gatepost.migration.qpsmtpd.recipients import is_pattern
from gatepost.migration.rules import Rules, first_word, quoted, whole
from gatepost.migration.source import Line
from gatepost.migration.toml import Value

_BAD = "badmailfrom"

# What SPF rejects at each level of qpsmtpd, and what it defers.
_SPF: Mapping[int, Mapping[str, Value]] = {
    2: {"temperror": "defer"},
    3: {"fail": "deny", "softfail": "defer"},
    4: {"softfail": "deny"},
    5: {"neutral": "deny"},
    6: {"none": "deny", "permerror": "deny"},
}
_SPF_DEFAULT = "1"


def take_bad_senders(job: Job, used: Used) -> None:
    """Take the senders that are refused."""
    if job.is_empty(_BAD, used, "shipped/regex.md"):
        return
    job.add_rules(_BAD, "sender", _bad_sender)
    if mode(used):
        text = f"{used.name}: rejects nothing there; set action = log for regex"
        job.findings.different(used.place, text, "shipped/regex.md")


def _bad_sender(name: str, line: Line, rules: Rules) -> str:
    word, reply = first_word(line)
    if is_pattern(word):
        return rules.rule(name, word, reply)
    if "@" not in word:
        raise ValueError("expected an address, or a domain such as @example.com")
    pattern = f"{quoted(word)}$" if word.startswith("@") else whole(quoted(word))
    return rules.rule(name, pattern, reply)


def take_sender_domain(job: Job, used: Used) -> None:
    """Take the check that the domain of the sender receives mail."""
    found = reaction(used, default="soft")
    options = {"missing": found, "null_mx": found, "bogus": found}
    job.check("sender_domain", used, options, **mode(used))


def take_spf(job: Job, used: Used) -> None:
    """Take the level of SPF."""
    text = used.options.get("reject", _SPF_DEFAULT)
    level = int(text) if text.isascii() and text.isdigit() else int(_SPF_DEFAULT)
    options: dict[str, Value] = {}
    for number, more in _SPF.items():
        options |= more if number <= level else {}
    job.check("spf", used, options)


def take_greylisting(job: Job, used: Used) -> None:
    """Take the times of greylisting."""
    options = used.options
    black = _seconds(options.get("black_timeout", "50m"))
    grey = _seconds(options.get("grey_timeout", "3h"))
    keep = _seconds(options.get("white_timeout", "36d"))
    if black is None or grey is None or keep is None:
        job.findings.left(used.place, f"{used.name}: a time that is not one", "shipped/greylist.md")
        return
    taken: dict[str, Value] = {"delay": f"{black}s", "window": f"{black + grey}s"}
    taken |= {"keep": f"{keep}s", "recipient": _recipient(options)}
    if options.get("deny_late", "0") != "0":
        taken["at"] = "data"
    job.check("greylist", used, taken, **mode(used))
    text = f"{used.name}: the network and the domain of the sender count; its database is not read"
    job.findings.different(used.place, text, "shipped/greylist.md")


def _recipient(options: Mapping[str, str]) -> str:
    return "address" if options.get("recipient", "0") != "0" else "none"


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MOST_DIGITS = 9


def _seconds(text: str) -> int | None:
    """Return the seconds of a time such as "50m", None for another text."""
    unit = text[-1:].lower()
    number = text[:-1] if unit in _UNITS else text
    if not number.isascii() or not number.isdigit() or len(number) > _MOST_DIGITS:
        return None
    return int(number) * _UNITS.get(unit, 1)
