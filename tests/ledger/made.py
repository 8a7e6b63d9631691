"""Records for the tests of the ledger."""

from gatepost.ledger.kept import kept_of
from gatepost.ledger.records import (
    Answer,
    Client,
    Connection,
    Delivery,
    RecipientRecord,
    Transaction,
    encode,
)
from gatepost.ledger.tally import Tally

START = 1_700_000_000.0


def transaction(number=1, **fields):
    values = {
        "time": START + number,
        "ref": f"s{number}.1",
        "session": f"s{number}",
        "client": Client(f"192.0.2.{number % 256}"),
        "sender": f"sender{number}@client.example",
        "result": "accepted",
        "recipients": [RecipientRecord(f"user{number % 7}@example.com")],
        "message_id": f"<{number}@client.example>",
        "size": 1000,
    }
    return Transaction(**values | fields)


def connection(number=1, **fields):
    values = {
        "time": START + number,
        "ref": f"s{number}",
        "client": Client(f"192.0.2.{number % 256}"),
        "end": "quit",
        "received": 10,
        "sent": 20,
    }
    return Connection(**values | fields)


def refusal(reason="spam", by="gatepost", **fields):
    return Answer("rcpt", by, "deny", reason, **fields)


def delivery(number=1, **fields):
    values = {
        "time": START + number,
        "ref": f"s{number}.1",
        "destination": "mx.example.net",
        "result": "delivered",
        "recipients": [f"user{number % 7}@example.com"],
        "sender": f"sender{number}@client.example",
    }
    return Delivery(**values | fields)


def encoded(*records):
    return [encode(record) for record in records]


def cells(*records):
    """The counts of records by hour and dimension."""
    tally, kept = Tally(), kept_of(encoded(*records))
    tally.add(kept.extracts, kept.shapes)
    return tally.cells()
