"""Haraka's lines, written for these tests in its three formats."""

import json

import pytest
from tests.importers.read import dull, read, recipients, survives

from gatepost.importers.haraka import HarakaImporter
from gatepost.importers.transaction import Ending, Verdict

ID = "0D6B2F3A-1234-4ABC-9DEF-0123456789AB"
# The level, the number of the transaction, the origin, the message, its fields.
LINES = [
    ("", "core", "connect", {"ip": "192.0.2.1", "port": 4711, "local_ip": "::", "local_port": 25}),
    (".1", "core", "sender <s@example.net>", {"code": "CONT", "msg": ""}),
    (
        ".1",
        "core",
        "recipient <no@example.com>",
        {"code": "DENY", "msg": "no such user", "sender": "s@example.net"},
    ),
    (
        ".1",
        "core",
        "recipient <a@example.com>",
        {"code": "OK", "msg": "", "sender": "s@example.net"},
    ),
    (
        ".1",
        "core",
        "recipient <b@example.com>",
        {"code": "DENYSOFT", "msg": 'come "back" later', "sender": "s@example.net"},
    ),
    (
        ".1",
        "core",
        "message",
        {
            "mid": "<m@example.net>",
            "size": 345,
            "rcpts": "1/1/1",
            "delay": 0.1,
            "code": "CONT",
            "msg": "",
        },
    ),
    (".1", "core", "queue", {"code": "OK", "msg": "Message Queued"}),
    (".2", "core", "sender <>", {"code": "CONT", "msg": ""}),
    (
        "",
        "core",
        "disconnect",
        {
            "ip": "192.0.2.1",
            "rdns": "host.example.net",
            "helo": "helo.example.net",
            "relay": "N",
            "tls": "Y",
        },
    ),
]


def quoted(value):
    text = str(value)
    return (
        f'"{text}"'.replace('"', '\\"')[1:-2] + '"'
        if '"' in text
        else f'"{text}"'
        if not text or " " in text
        else text
    )


def pairs(fields):
    return " ".join(f"{name}={quoted(value)}" for name, value in fields.items())


def default(lines):
    for number, origin, message, fields in lines:
        yield f"[NOTICE] [{ID}{number}] [{origin}] {message} {pairs(fields)}"


def logfmt(lines):
    for number, origin, message, fields in lines:
        head = {"level": "NOTICE", "uuid": ID + number, "origin": origin, "message": message}
        yield pairs({**head, **fields})


def as_json(lines):
    for number, origin, message, fields in lines:
        head = {"level": "NOTICE", "uuid": ID + number, "origin": origin, "message": message}
        yield json.dumps({**head, **fields})


def stamped(form, lines=LINES):
    return "\n".join(f"2020-02-22T09:00:00.{at:03}Z {line}" for at, line in enumerate(form(lines)))


@pytest.mark.parametrize("form", [default, logfmt, as_json])
def test_a_connection_has_its_transactions(form):
    first, second = read(HarakaImporter(), stamped(form))
    assert recipients(first) == {
        "no@example.com": "unknown",
        "a@example.com": "accepted",
        "b@example.com": "deferred",
    }
    assert (first.client, first.name, first.helo) == (
        "192.0.2.1",
        "host.example.net",
        "helo.example.net",
    )
    assert (first.ending, first.size, first.message_id) == (
        Ending.ACCEPTED,
        345,
        "<m@example.net>",
    )
    assert (first.has_tls, first.is_trusted) == (True, False)
    assert first.recipients["b@example.com"].reply == 'come "back" later'
    assert (second.sender, second.ending) == ("", Ending.ABANDONED)


def test_a_message_that_is_denied_is_refused():
    lines = [
        (*one[:3], {**one[3], "code": "DENY", "msg": "spam score exceeded"})
        if one[2] == "message"
        else one
        for one in LINES[:6]
    ]
    [found] = read(HarakaImporter(), stamped(default, lines))
    assert (found.ending, found.verdict) == (Ending.REFUSED, Verdict.SPAM)


def test_the_line_of_spamassassin_has_a_verdict():
    line = (".1", "spamassassin", "status=No, score=1.5, required=5, reject=20, tests=X", {})
    [found] = read(HarakaImporter(), stamped(default, [*LINES[:5], line, *LINES[5:7]]))
    assert (found.verdict, found.score) == (Verdict.CLEAN, 1.5)


REMARKS = {
    "action: no action, required_score: 15, score: -0.1": (Verdict.CLEAN, -0.1),
    "action: reject, required_score: 15, score: 20.5, urls: http://a.example/?x=1": (
        Verdict.SPAM,
        20.5,
    ),
    "action: add header, required_score: 15, score: 7": (Verdict.SPAM, 7.0),
    "action: greylist, required_score: 15, score: 5": (Verdict.NONE, 5.0),
    "skip: relay": (Verdict.NONE, None),
}


@pytest.mark.parametrize("form", [default, logfmt, as_json])
@pytest.mark.parametrize("remark", REMARKS)
def test_the_line_of_rspamd_has_a_verdict(remark, form):
    line = (".1", "rspamd", remark, {})
    [found] = read(HarakaImporter(), stamped(form, [*LINES[:5], line, *LINES[5:7]]))
    assert (found.verdict, found.score) == REMARKS[remark]


@pytest.mark.parametrize(
    ("remark", "verdict"),
    [("fail:Eicar-Test-Signature", Verdict.SPAM), ("pass:clean", Verdict.NONE)],
)
def test_a_virus_is_found_and_no_virus_is_no_verdict(remark, verdict):
    line = (".1", "clamd", remark, {})
    [found] = read(HarakaImporter(), stamped(default, [*LINES[:5], line, *LINES[5:7]]))
    assert (found.verdict, found.score) == (verdict, None)


def test_a_virus_stays_the_verdict_when_another_scanner_passes_the_message():
    lines = [
        (".1", "clamd", "fail:Eicar-Test-Signature", {}),
        (".1", "rspamd", "action: no action, required_score: 15, score: 0.5", {}),
    ]
    [found] = read(HarakaImporter(), stamped(default, [*LINES[:5], *lines, *LINES[5:7]]))
    assert (found.verdict, found.score) == (Verdict.SPAM, 0.5)


def test_a_remark_of_a_scanner_in_another_form_is_not_read():
    line = (".1", "spamassassin", "status=Yes, score=., required=5", {})
    [found] = read(HarakaImporter(), stamped(default, [*LINES[:5], line, *LINES[5:7]]))
    assert (found.verdict, found.score) == (Verdict.NONE, None)


def test_a_relaying_client_is_trusted():
    lines = [*LINES[:-1], (*LINES[-1][:3], {**LINES[-1][3], "relay": "Y"})]
    assert all(one.is_trusted for one in read(HarakaImporter(), stamped(default, lines)))


def test_the_next_sender_ends_a_transaction():
    lines = [*LINES[:4], LINES[1]]
    first, _ = read(HarakaImporter(), stamped(default, lines))
    assert first.ending is Ending.ABANDONED


def test_syslog_is_read():
    text = "\n".join(f"Feb 22 09:00:00 mx haraka[812]: {line}" for line in default(LINES))
    assert len(read(HarakaImporter(), text)) == 2


@pytest.mark.parametrize("text", ["{", "[]", '{"a":1}', '{"uuid":1,"message":2}', "level=x", "{}"])
def test_what_is_no_line_of_haraka_is_not_read(text):
    assert read(HarakaImporter(), f"2020-02-22T09:00:00Z {text}") == []


def test_transactions_of_a_connection_are_bounded():
    lines = [LINES[0], *[LINES[1]] * 250]
    assert len(read(HarakaImporter(), stamped(default, lines))) == 250


def test_open_connections_are_bounded():
    importer = HarakaImporter(2)
    first = next(default(LINES))
    text = "\n".join(
        f"2020-02-22T09:00:00Z {first.replace(ID, f'{at}{ID[1:]}')}" for at in range(5)
    )
    read(importer, text)
    assert importer.dropped == 3


def test_a_huge_line_costs_no_more_than_its_length():
    start = f"2020-02-22T09:00:00Z [NOTICE] [{ID}] [core] "
    dull(HarakaImporter, start, ['a="', "a=", '"', "\\", "sender <", "=", " "])
    dull(HarakaImporter, "2020-02-22T09:00:00Z ", ["{", '{"a":', "[", "level=", "[A] "])


def test_an_abandoned_transaction_ends_with_the_next_one():
    first, second = read(HarakaImporter(), stamped(default, [*LINES[:4], LINES[1], LINES[-1]]))
    assert first.ended == second.time < second.ended


test_any_lines_are_read_without_an_error = survives(
    HarakaImporter, "\n".join(stamped(form) for form in (default, logfmt, as_json))
)
