"""The same transactions to Gatepost as a gateway and as a milter have the same decisions."""

import random
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.e2e.milter import LISTEN, USERS, Client, filtered
from tests.e2e.server import Server, eventually
from tools import postfix

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(postfix.why_not()), reason=postfix.why_not() or "it runs"),
]

SEED, COUNT = 20260801, 2000
TRAPS = (
    "hidden-page@example.com",
    "old-page@example.com",
    "former@example.com class=recycled",
)
# Decides by what it is asked about, so that equal questions have equal answers.
PLUGIN = """
from hashlib import sha256

from gatepost import Plugin, accept, defer, deny


def chance(*words):
    return sha256("|".join(words).encode()).digest()[0] / 256


class Decides(Plugin):
    def decide(self, hook, key, share):
        found = chance(hook, key)
        if found < share:
            return deny(f"{hook}: 100% no\\nsecond line", reason="no")
        if found < 1.5 * share:
            return defer(f"{hook}: later", reason="later")
        return None

    def on_helo(self, session, name):
        return self.decide("helo", name, 0.03)

    def on_mail(self, tx, sender):
        return self.decide("mail", str(sender), 0.05)

    def on_rcpt(self, tx, rcpt):
        return self.decide("rcpt", f"{tx.reverse_path} {rcpt.address}", 0.1)

    def on_data(self, tx):
        recipients = sorted(str(one.address) for one in tx.recipients)
        return self.decide("data", " ".join(recipients), 0.05)

    def on_headers(self, tx, headers):
        return self.decide("headers", headers.get("Subject") or "", 0.05)

    def on_message(self, tx):
        message = tx.message
        subject = message.headers().get("Subject") or ""
        if chance("add", subject) < 0.3:
            message.add_header("X-Added", subject)
        if chance("append", subject) < 0.3:
            message.add_header("X-Appended", "yes", first=False)
        if chance("replace", subject) < 0.3:
            message.replace_header("X-One", "replaced")
        if chance("remove", subject) < 0.3:
            message.remove_header("X-Many", lambda value: "a" in value)
        if chance("body", subject) < 0.1:
            message.replace_body(b"new body of " + subject.encode() + b"\\r\\n")
        return self.decide("message", subject, 0.05)
"""
REFERENCE = re.compile(r" \[[0-9a-f]+-[0-9a-f]+(?:\.\d+)?\]")
# The beginnings of addresses that Postfix does not accept.
OWN_WORDS = ("nobody", "former", "old-page", "friend@")
OWN_FIELD = re.compile(rb"(?:Subject|X-One|X-Many|X-Added|X-Appended|X-Folded):")


class Case:
    """One transaction: what a client sends."""

    def __init__(self, number, chance):
        self.subject = f"case-{number:05}"
        self.helo = f"host{chance.randrange(60)}.example"
        self.sender = chance.choice(["", *(f"s{one}@client.example" for one in range(40))])
        names = [*USERS, "nobody", "nobody2", "former", "old-page", "alice+tag"]
        weights = [8, 8, 8, 8, 1, 2, 2, 1, 1, 2]
        picked = chance.choices(names, weights, k=chance.randint(1, 4))
        self.recipients = [f"{one}@example.com" for one in picked]
        if chance.random() < 0.05:
            self.recipients.append("friend@elsewhere.example")
        self.text = self._text(chance)

    def _text(self, chance):
        fields = [f"Subject: {self.subject}"]
        fields += ["X-One: " + "".join(chance.choices("abc %,;", k=12)).strip() + "."]
        fields += [f"X-Many:{one}" for one in chance.choices([" a", " b", "\tab", ""], k=3)]
        fields += ["X-Folded: first\n\tsecond\n  third"] if chance.random() < 0.5 else []
        chance.shuffle(fields)
        lines = ["".join(chance.choices("abc .\xe9", k=chance.randint(0, 70))) for _ in range(20)]
        body = "\n".join(lines) * (60 if chance.random() < 0.02 else 1)
        return "\n".join(fields) + "\n\n" + body


def played(case, port):
    """Send a case; return the replies that decide, in order, without what differs by design."""
    found = []

    def exchange(line):
        code, text = client.docmd(line)
        reply = REFERENCE.sub("", f"{code} {text.decode()}")
        found.append(reply if code >= 400 else str(code))
        return code

    with Client("127.0.0.1", port, timeout=60) as client:
        if exchange(f"EHLO {case.helo}") >= 400 or exchange(f"MAIL FROM:<{case.sender}>") >= 400:
            return found
        taken = [exchange(f"RCPT TO:<{one}>") < 400 for one in case.recipients]
        if not any(taken):
            return found
        if exchange("DATA") < 400:
            text = case.text.replace("\n.", "\n..").replace("\n", "\r\n")
            client.send(text.encode("latin-1") + b"\r\n.\r\n")
            code, text = client.getreply()
            found.append(REFERENCE.sub("", f"{code} {text.decode()}") if code >= 400 else str(code))
    return found


def decisions(case, found):
    """Return what is to be equal.

    Postfix answers HELO itself, and has the refusal of a milter in its next reply. It has its own
    words for recipients that it does not accept, also for traps, which a gateway answers as users.
    Without any other recipient a gateway then refuses at DATA.
    """
    if any("helo: " in one for one in found):
        return found[-1:]
    to, rest = found[2 : 2 + len(case.recipients)], found[2 + len(case.recipients) :]
    if not to:
        return found
    refused_here = [one.startswith(OWN_WORDS) for one in case.recipients]
    if all(here or reply[0] != "2" for here, reply in zip(refused_here, to, strict=True)):
        assert "".join(rest[:1] or to)[0] in "45"
        rest = []
    to = ["" if here else reply for here, reply in zip(refused_here, to, strict=True)]
    return [*found[:2], *to, *rest]


def own_parts(mail):
    """Return the fields that a client or a plugin has written, and the body."""
    head, _, body = mail.replace(b"\r\n", b"\n").partition(b"\n\n")
    fields = re.split(rb"\n(?![ \t])", head)
    return [one for one in fields if OWN_FIELD.match(one)], body.rstrip(b"\n")


def by_subject(mails):
    """Return the different contents that were delivered of each message."""
    found = {}
    for mail in mails:
        subject = re.search(rb"\nSubject: (case-\d+)", mail)[1]
        fields, body = own_parts(mail)
        found.setdefault(subject, set()).add((*fields, body))
    return found


def test_a_gateway_and_a_milter_have_no_difference(tmp_path):
    chance = random.Random(SEED)
    cases = [Case(number, chance) for number in range(COUNT)]
    (tmp_path / "plugin0.py").write_text(PLUGIN)
    extra = LISTEN + '[[plugin]]\nuse = "plugin0.py"\n'
    limits = "connection_rate_per_ip = 100000\nconnection_rate_per_network = 100000"
    gate = Server(tmp_path, extra, traps=TRAPS, limits=limits)
    main = {"recipient_delimiter": "+", "smtpd_error_sleep_time": "0"}
    with filtered(tmp_path, main=main, gate=gate) as (gateway, mail):
        with ThreadPoolExecutor(4) as pool:
            direct = list(pool.map(lambda case: played(case, gateway.port), cases))
            asked = list(pool.map(lambda case: played(case, mail.port), cases))
        different = [
            (case.subject, case.recipients, one, other)
            for case, one, other in zip(cases, direct, asked, strict=True)
            if decisions(case, one) != decisions(case, other)
        ]
        assert different == []
        eventually(mail.is_idle)
        here, there = by_subject(gateway.delivered()), by_subject(mail.delivered())
        assert here == there
        assert len(here) > COUNT / 4
        assert sum(one[-1].startswith("554 5.7.1 Message refused") for one in direct) > COUNT / 20
