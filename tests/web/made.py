"""Records of the last hours for the tests of pages."""

import time

from gatepost.ledger.records import (
    Answer,
    Client,
    Connection,
    Delivery,
    Notice,
    PluginResult,
    RecipientRecord,
    Transaction,
    Trap,
)

NOW = time.time()


def accepted(number, to="alice@example.com", sender="me@client.example", **fields):
    values = {
        "time": NOW - 60 * number,
        "ref": f"a{number}-1.1",
        "session": f"a{number}-1",
        "client": Client(f"192.0.2.{number}", helo="client.example"),
        "sender": sender,
        "result": "accepted",
        "recipients": [RecipientRecord(to, reply="250 2.1.5 Ok")],
        "recipients_count": 1,
        "reply": "250 2.0.0 Ok",
        "size": 1000,
        "message_id": f"<{number}@client.example>",
    }
    return Transaction(**values | fields)


def refused(number, to="bob@example.com", reason="listed", by="dnsbl", **fields):
    reply = f"550 5.7.1 Refused [b{number}-1.1]"
    values = {
        "ref": f"b{number}-1.1",
        "session": f"b{number}-1",
        "result": "refused",
        "by": by,
        "reason": reason,
        "reply": reply,
        "recipients": [RecipientRecord(to, "refused", reply)],
        "answers": [Answer("rcpt", by, "deny", reason, reply, to, 0.25)],
        "size": 0,
    }
    return accepted(number, to, **values | fields)


def judged(
    number, to="alice@example.com", domain="client.example", result="pass", standing="", **fields
):
    """Return an accepted message with results of SPF, DKIM, DMARC and standing."""
    aligned = {"spf": result, "dkim": "fail", "policy": "reject"}
    disposition = {"disposition": "reject"} if result == "fail" else {}
    results = [
        PluginResult("spf", result, facts={"domain": domain}),
        PluginResult("dkim", "none"),
        PluginResult("dmarc", result, facts={"domain": domain, **aligned, **disposition}),
    ]
    if standing:
        results.append(PluginResult("standing", standing))
    ref = f"j{number}-1.1"
    values = {"ref": ref, "sender": f"me@{domain}", "results": results}
    return accepted(number, to, **values | fields)


def trapped(number, to="carol@example.com", trap="trap@example.com", **fields):
    return refused(
        number,
        to,
        "trap",
        "gatepost",
        ref=f"c{number}-1.1",
        session=f"c{number}-1",
        traps=[Trap(trap, trap, "verybadrcptto", 3)],
        traps_count=1,
        **fields,
    )


RECORDS = (
    accepted(1),
    refused(2),
    refused(3, reason="greylisted", by="greylist", result="deferred"),
    trapped(4),
    accepted(5, results=[PluginResult("spf", "pass", facts={"domain": "client.example"})]),
    Connection(NOW - 300, "d1-1", Client("198.51.100.9"), end="early-talker", reply="554 5.5.0 No"),
    Delivery(NOW - 50, "a1-1.1", "mx.example.net", "delivered", ["alice@example.com"], 1),
    Notice(NOW - 1000, "reloaded"),
)

# Markup as an attacker would send it, and where a client can put it.
MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def hostile(text=MARKUP):
    """Return records with a text in each field that a client controls."""
    more = {"xclient": {text: text}}
    client = Client(
        "192.0.2.66", 25, text, text, text, text, text, text, text, text, "smtp", text, **more
    )
    transaction = Transaction(
        NOW - 30,
        "e1-1.1",
        "e1-1",
        client,
        f"{text}@client.example",
        "refused",
        text,
        text,
        text,
        recipients=[RecipientRecord(f"{text}@example.com", "refused", text, text)],
        recipients_count=1,
        message_id=text,
        header_from=text,
        subject=text,
        answers=[
            Answer("rcpt", text, "deny", text, text, text),
            Answer("x", text, "deny", text, shadow=True),
        ],
        traps=[Trap(f"{text}@example.com", text, text, 1, text, text, text)],
        traps_count=1,
        results=[PluginResult(text, text, 1.0, text, {text: text})],
        edits=[text],
        changes=[text],
        next_hops={text: text},
        plugin=text,
        problem=text,
        queue_id=text,
    )
    connection = Connection(
        NOW - 29,
        "e2-1",
        client,
        end=text,
        problem=text,
        reply=f"554 {text}",
        answers=[Answer("helo", text, "deny", text, text, text)],
    )
    delivery = Delivery(NOW - 20, "e1-1.1", text, "deferred", [text], 1, text, text, text)
    return transaction, connection, delivery
