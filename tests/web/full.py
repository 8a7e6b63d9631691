"""A dashboard with something in each table, and with texts as long as real ones."""

import time

import msgspec
from tests.queue.spool.samples import facts, new_message, put, recipient, store_at
from tests.web.made import RECORDS, accepted, judged, refused, trapped
from tests.web.served import write_records

from gatepost.ledger.records import Answer, Client, PluginResult, RecipientRecord, Trap
from gatepost.registry.file import FileRegistry
from gatepost.registry.trap import RegisteredTrap
from gatepost.traps.verdicts import Treatment

REGISTERED = ("old@example.com", "other@example.com")
LONG = "firstname.lastname@mail.department.company.example"
IPV6 = Client("2001:db8:1234:5678:9abc:def0:1234:5678", name="mail.company.example")
REPLY = (
    "550 5.7.1 Service unavailable: client host [192.0.2.1] is on a block list:"
    " https://www.blocklist.example/query?ip=192.0.2.1"
)


def _unknown(number, network):
    reply = "550 5.1.1 No"
    answer = Answer("rcpt", "gatepost", "deny", "unknown-recipient", reply, "gone@example.com")
    client = Client(f"{network}.{number}")
    return refused(
        number, "gone@example.com", "unknown-recipient", "gatepost",
        ref=f"u{number}-1.1", sender="x@spam.example", client=client, answers=[answer],
    )  # fmt: skip


def records():
    """Return records of all views."""
    hit = Trap("old@example.com", "old@example.com", "registry", 1,
               treatment=Treatment.REFUSE_ALL.value, shadow=True)  # fmt: skip
    shadow = Answer("mail", "spf", "deny", "fail", "550 5.7.23 SPF", shadow=True, seconds=0.012)
    return (
        *RECORDS,
        *(judged(number, LONG, "department.company.example", ref=f"j{number}-1.1", client=IPV6,
                 standing="acquainted") for number in range(20, 25)),
        *(judged(number, domain="spoofed.example", result="fail", ref=f"k{number}-1.1",
                 answers=[shadow]) for number in range(30, 33)),
        refused(40, LONG, sender="me@department.company.example", client=IPV6, reply=REPLY,
                answers=[Answer("rcpt", "dnsbl", "deny", "listed", REPLY, LONG, 0.3)],
                recipients=[RecipientRecord(LONG, "refused", REPLY)]),
        trapped(41, LONG, "former.employee.with.long.name@mail.department.company.example"),
        accepted(42, ref="s1-1.1", traps=[hit], traps_count=1, shadowed=True,
                 results=[PluginResult("standing", "acquainted")]),
        *(_unknown(*one) for one in ((50, "198.51.100"), (51, "198.51.100"), (52, "203.0.113"))),
    )  # fmt: skip


def fill(folder):
    """Write a ledger, a queue and registered traps into a data folder."""
    write_records(folder, *records())
    for entry in REGISTERED:
        trap = RegisteredTrap(entry=entry, by="test", at=1000.0)
        FileRegistry(folder).change(entry, lambda _old, trap=trap: trap)
    spool = folder / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    now = time.time()
    held = {"due": None, "reason": "virus Win.Test.EICAR_HDB-1", "holder": "clamav"}
    late = {"due": now + 600, "attempts": 3, "reply": REPLY}
    with store_at(spool / "1.db") as store:
        for number, one in enumerate(
            (
                recipient("sue@partner.example", "mx:partner.example", **late),
                recipient(LONG, "mx:mail.department.company.example", **late),
                recipient("d@example.net", "lmtp:127.0.0.1:24", **held),
                recipient(LONG, "lmtp:127.0.0.1:24", **held),
            )
        ):
            made = new_message(one, of=facts(f"b41f0{number}a2-1.1", LONG))
            put(store, msgspec.structs.replace(made, received=now - 900 * (number + 1)))
