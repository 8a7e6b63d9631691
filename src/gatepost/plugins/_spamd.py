"""The protocol of SpamAssassin's spamd: requests and responses (version 1.5).

    HEADERS SPAMC/1.5            SPAMD/1.1 0 EX_OK
    Content-length: 275          Content-length: 880
    User: alice                  Spam: True ; 15.5 / 5.0
                                 X-Spam-Flag: YES ...

Trusts: nothing in responses; another form is a `ScannerError`. Names of rules and values of fields
can have any characters, because rules quote the message.
"""

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from gatepost.plugins._scanner import ScannerError

Command = Literal["SYMBOLS", "HEADERS", "TELL"]

_STATUS = re.compile(rb"SPAMD/\d+\.\d+ (?P<code>\d{1,3}) (?P<word>[^\r\n]*)")
_VERDICT = re.compile(
    r"(?P<spam>True|Yes|False|No) *; *(?P<points>-?\d{1,6}(?:\.\d{1,6})?)"
    r" */ *(?P<threshold>-?\d{1,6}(?:\.\d{1,6})?)"
)
_RULE = re.compile(r"[A-Za-z0-9_]{1,100}")
_SPAM_FIELD = "x-spam-"
_FOLD = re.compile(r"\r?\n(?=[ \t])")


class Verdict(NamedTuple):
    """The verdict about a message: whether it is spam, its points, and from how many it is spam.

    `rules` are the names of those that match. `fields` are the names and values of the X-Spam-
    fields, `subject` is the subject, "" without one; both are known after HEADERS only.
    """

    is_spam: bool
    points: float
    threshold: float
    rules: tuple[str, ...] = ()
    fields: tuple[tuple[str, str], ...] = ()
    subject: str = ""


def request_head(command: Command, size: int, user: str, **fields: str) -> bytes:
    """Return the head of a request about a message of `size` octets; `user` can be "".

    `fields` are more fields, with "_" for "-".
    """
    named = {"Content-length": str(size), **({"User": user} if user else {}), **fields}
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in named.items()]
    return "".join([f"{command} SPAMC/1.5\r\n", *lines, "\r\n"]).encode("ascii")


def check_learned(octets: bytes) -> None:
    """Raise `ScannerError` unless a response to TELL is that spamd has learned."""
    head, _ = _parse_status(octets)
    if not any(name.lower() == "didset" for name, _ in _fields(head)):
        raise ScannerError(
            "spamd has learned nothing: it has learned the message before, or has no Bayes"
        )


def _parse_status(octets: bytes) -> tuple[bytes, bytes]:
    """Return the head and the body of a response; raises `ScannerError` for a failure."""
    head, separator, body = octets.partition(b"\r\n\r\n")
    status = _STATUS.match(head)
    if status is None or (status["code"] == b"0" and not separator):
        raise ScannerError(f"expected a response of spamd, found {octets[:80]!r}")
    if status["code"] != b"0":
        raise ScannerError(f"spamd has failed: {status['word'][:80].decode('ascii', 'replace')}")
    return head, body


def parse_response(command: Command, octets: bytes) -> Verdict:
    """Return the verdict; raises `ScannerError`."""
    head, body = _parse_status(octets)
    fields = {name.lower(): value for name, value in _fields(head.partition(b"\r\n")[2])}
    if fields.get("content-length", "0") != str(len(body)):
        raise ScannerError("the response of spamd is cut off")
    verdict = _VERDICT.fullmatch(fields.get("spam", ""))
    if verdict is None:
        raise ScannerError(f"expected a verdict of spamd, found {fields.get('spam', '')[:80]!r}")
    found = Verdict(
        verdict["spam"] in ("True", "Yes"), float(verdict["points"]), float(verdict["threshold"])
    )
    return _with_rules(found, body) if command == "SYMBOLS" else _with_fields(found, body)


def _with_rules(verdict: Verdict, body: bytes) -> Verdict:
    return verdict._replace(rules=tuple(_rules(body.decode("utf-8", "replace"))))


def _with_fields(verdict: Verdict, body: bytes) -> Verdict:
    """Add what a header block has: the fields of SpamAssassin, and its rules in X-Spam-Status."""
    found = list(_fields(body))
    spam = tuple(one for one in found if one[0].lower().startswith(_SPAM_FIELD))
    by_name = {name.lower(): value for name, value in reversed(found)}
    tests = by_name.get("x-spam-status", "").partition("tests=")[2]
    rules = tests.partition("=")[0].rpartition(" ")[0] if "=" in tests else tests
    return verdict._replace(
        rules=tuple(_rules(rules)), fields=spam, subject=by_name.get("subject", "")
    )


def _rules(text: str) -> Iterator[str]:
    for name in re.split(r"[,\s]+", text):
        if _RULE.fullmatch(name) and name != "none":
            yield name


def _fields(block: bytes) -> Iterator[tuple[str, str]]:
    """Yield the name and the unfolded value of each field."""
    for line in _FOLD.sub("", block.decode("utf-8", "replace")).split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            yield name.strip(), " ".join(value.split())
