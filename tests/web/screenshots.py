"""Take the pictures of the dashboard in docs/screenshots: `make screenshots`.

A dashboard runs with a made ledger and a made queue, and Chromium loads its pages. The records are
the same in each run, apart from their times. Change LOADED for other pages.

Limits: a picture over MOST octets is an error, as the repository keeps all of them.
"""

import json
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from tests.queue.spool.samples import facts, new_message, put, recipient, store_at
from tests.web.made import accepted, refused, trapped
from tests.web.served import Dashboard, write_records
from tools import peers

from gatepost.ledger.records import Delivery, Record, Transaction

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
SCRIPT = Path(__file__).with_suffix(".js")
MOST = 160_000
DAYS, PER_HOUR = 15, 30
# The pages by the name of the picture; REF is a message with a trap.
REF = "trap-1.1"
TRIED = "ip=203.0.113.9&helo=mail.partner.example&sender=anna@partner.example&to=alice@example.com"
LOADED = {
    "find": "/find",
    "message": f"/message/{REF}",
    "outcomes": "/outcomes?period=7d",
    "reasons": "/reasons",
    "traps": "/traps?period=7d",
    "queue": "/queue",
    "try": f"/try?{TRIED}",
}
PEOPLE = ("alice", "bob", "carol", "dave", "erin", "office", "sales")
SENDERS = (
    "anna@partner.example", "billing@shop.example", "news@letters.example", "ken@client.example",
    "noreply@bank.example", "lists@society.example",
)  # fmt: skip
TRAPS = ("old-sales@example.com", "jim@example.com", "webmaster2@example.com")
REASONS = (
    ("dnsbl", "listed", "refused", 12), ("greylist", "greylisted", "deferred", 9),
    ("gatepost", "unknown-recipient", "refused", 6), ("spf", "fail", "refused", 4),
    ("rspamd", "spam", "refused", 4), ("clamav", "virus", "refused", 1),
)  # fmt: skip


def main() -> str:
    """Take the pictures; return what is wrong, "" for nothing."""
    chromium, modules = peers.find("chromium"), peers.find("browser-tests")
    if chromium is None or modules is None:
        return "screenshots: Chromium or its packages are not available"
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "var")
        with Dashboard(Path(folder)) as dashboard:
            take(dashboard, chromium, modules)
    large = [one.name for one in FOLDER.glob("*.png") if one.stat().st_size > MOST]
    return f"screenshots: over {MOST:,} octets: {', '.join(large)}" if large else ""


def take(dashboard: Dashboard, chromium: peers.Command, modules: peers.Command) -> None:
    """Let Chromium load each page, light and dark."""
    name, _, value = dashboard.logged_in(role="admin").cookie.partition("=")
    given = {
        "base": "http://{}:{}".format(*dashboard.address),
        "cookie": {"name": name, "value": value},
        "folder": str(FOLDER),
        "pages": LOADED,
    }
    packages = Path(modules.prefix[-1]).parents[1]
    command = ["node", SCRIPT, packages, *chromium.prefix, json.dumps(given)]
    subprocess.run(command, env=chromium.env, check=True, timeout=300)


def fill(folder: Path) -> None:
    """Write a ledger and a queue."""
    write_records(folder, *records(random.Random(1), time.time()))
    spool = folder / "spool"
    spool.mkdir(parents=True)
    slow = {"reply": "451 4.7.1 Try again later", "attempts": 3}
    silent = {"reply": "421 4.4.2 Timeout", "attempts": 1}
    held = {"due": None, "reason": "virus Eicar-Signature", "holder": "clamav"}
    waiting = [
        ("sue@partner.example", "mx:partner.example", "alice@example.com", slow),
        ("tom@partner.example", "mx:partner.example", "bob@example.com", slow),
        ("shop@slow.example", "mx:slow.example", "sales@example.com", silent),
        ("carol@example.com", "lmtp:127.0.0.1:24", "billing@shop.example", held),
    ]
    with store_at(spool / "1.db") as store:
        for number, (to, hop, sender, more) in enumerate(waiting):
            received = time.time() - 900 * (number + 1)
            one = recipient(to, hop, **{"due": time.time() + 600, **more})
            made = new_message(one, of=facts(f"b41f0{number}a2-1.1", sender))
            put(store, msgspec.structs.replace(made, received=received))


def records(chance: random.Random, now: float) -> Iterator[Record]:
    """Yield the records of some days, with more mail by day than by night."""
    number = 0
    for hour in range(24 * DAYS):
        begins = now - 3600 * (hour + 1)
        daily = 1 - 0.7 * math.cos(2 * math.pi * (begins % 86400) / 86400)
        for _ in range(int(PER_HOUR * daily * chance.uniform(0.8, 1.2))):
            number += 1
            yield from _message(chance, begins + chance.uniform(0, 3600), number)
    yield _trapped(chance, now - 240, "trap")


def _message(chance: random.Random, at: float, number: int) -> Iterator[Record]:
    kind = chance.choices(("accepted", "refused", "trapped"), (60, 30, 4))[0]
    ref = f"{0xB41F0000 + number * 37:08x}"
    if kind == "trapped":
        yield _trapped(chance, at, ref)
    elif kind == "refused":
        by, reason, result, _ = chance.choices(REASONS, [one[-1] for one in REASONS])[0]
        code = "550 5.7.1" if result == "refused" else "451 4.7.1"
        yield refused(1, _person(chance), reason, by, reply=f"{code} Refused [{ref}-1.1]",
                      **_facts(chance, at, ref, result=result))  # fmt: skip
    else:
        to = _person(chance)
        yield accepted(1, to, **_facts(chance, at, ref, size=chance.randrange(2000, 90_000)))
        yield Delivery(at + 1, f"{ref}-1.1", "lmtp:127.0.0.1:24", "delivered", [to], 1)


def _trapped(chance: random.Random, at: float, ref: str) -> Transaction:
    trap = chance.choice(TRAPS)
    made = trapped(1, _person(chance), trap)
    reply = f"550 5.7.1 Refused [{ref}-1.1]"
    answers = [msgspec.structs.replace(one, reply=reply) for one in made.answers]
    recipients = [msgspec.structs.replace(one, reply=reply) for one in made.recipients]
    return msgspec.structs.replace(
        made, recipients=recipients, **_facts(chance, at, ref, reply=reply, answers=answers)
    )


def _person(chance: random.Random) -> str:
    return f"{chance.choice(PEOPLE)}@example.com"


def _facts(chance: random.Random, at: float, ref: str, **more: object) -> dict[str, object]:
    sender = chance.choice(SENDERS)
    client = accepted(chance.randrange(1, 250)).client
    own = {"time": at, "ref": f"{ref}-1.1", "session": f"{ref}-1", "sender": sender}
    return {**own, "client": client, "message_id": f"<{ref}@{sender.partition('@')[2]}>", **more}


if __name__ == "__main__":
    sys.exit(main() or 0)
