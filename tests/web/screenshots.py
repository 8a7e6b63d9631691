"""Take the pictures of the dashboard in docs/screenshots: `make screenshots`.

A dashboard runs with the records of a simulated site (`simulated`) and a made queue, and Chromium
loads its pages. The records are the same in each run, apart from their times. Change LOADED for
other pages.

Limits: a picture over MOST octets is an error, as the repository keeps all of them.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
from tests.queue.spool.samples import facts, new_message, put, recipient, store_at
from tests.web import simulated
from tests.web.served import Dashboard, write_records
from tools import peers

from gatepost.ledger.records import Record, Transaction

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
SCRIPT = Path(__file__).with_suffix(".js")
MOST = 160_000
# The pages by the name of the picture; "{ref}" is a message with a trap.
TRIED = "ip=203.0.113.9&helo=mail.partner.example&sender=anna@partner.example&to=alice@example.com"
LOADED = {
    "find": "/find",
    "message": "/message/{ref}",
    "outcomes": "/outcomes?period=7d",
    "reasons": "/reasons",
    "traps": "/traps?period=7d",
    "queue": "/queue",
    "try": f"/try?{TRIED}",
}


def main() -> str:
    """Take the pictures; return what is wrong, "" for nothing."""
    chromium, modules = peers.find("chromium"), peers.find("browser-tests")
    if chromium is None or modules is None:
        return "screenshots: Chromium or its packages are not available"
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        ref = fill(Path(folder) / "var")
        with Dashboard(Path(folder)) as dashboard:
            take(dashboard, ref, chromium, modules)
    large = [one.name for one in FOLDER.glob("*.png") if one.stat().st_size > MOST]
    return f"screenshots: over {MOST:,} octets: {', '.join(large)}" if large else ""


def take(dashboard: Dashboard, ref: str, chromium: peers.Command, modules: peers.Command) -> None:
    """Let Chromium load each page, light and dark."""
    name, _, value = dashboard.logged_in(role="admin").cookie.partition("=")
    given = {
        "base": "http://{}:{}".format(*dashboard.address),
        "cookie": {"name": name, "value": value},
        "folder": str(FOLDER),
        "pages": {name: path.format(ref=ref) for name, path in LOADED.items()},
    }
    packages = Path(modules.prefix[-1]).parents[1]
    command = ["node", SCRIPT, packages, *chromium.prefix, json.dumps(given)]
    subprocess.run(command, env=chromium.env, check=True, timeout=300)


def fill(folder: Path) -> str:
    """Write a ledger and a queue; return the reference of a message with a trap."""
    records = simulated.records(time.time())
    write_records(folder, *records)
    spool = folder / "spool"
    spool.mkdir(parents=True)
    slow = {"reply": "451 4.7.1 Try again later", "attempts": 3}
    silent = {"reply": "421 4.4.2 Timeout", "attempts": 1}
    held = {"due": None, "reason": "virus Eicar-Signature", "holder": "clamav"}
    waiting = [
        ("sue@partner.example", "mx:partner.example", "diana.draper@site1.example", slow),
        ("tom@partner.example", "mx:partner.example", "henry@site1.example", slow),
        ("shop@slow.example", "mx:slow.example", "info@site1.example", silent),
        ("grace.carter@site1.example", "lmtp:127.0.0.1:24", "billing@shop.example", held),
    ]
    with store_at(spool / "1.db") as store:
        for number, (to, hop, sender, more) in enumerate(waiting):
            received = time.time() - 900 * (number + 1)
            one = recipient(to, hop, **{"due": time.time() + 600, **more})
            made = new_message(one, of=facts(f"b41f0{number}a2-1.1", sender))
            put(store, msgspec.structs.replace(made, received=received))
    return _with_trap(records)


def _with_trap(records: Sequence[Record]) -> str:
    """Return the reference of the message with a trap whose page is the shortest."""
    found = (one for one in records if isinstance(one, Transaction) and one.reason == "trap")
    return min(found, key=lambda one: (one.recipients_count, -one.time)).ref


if __name__ == "__main__":
    sys.exit(main() or 0)
