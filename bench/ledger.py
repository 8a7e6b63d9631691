"""The cost of the ledger: `python -m bench.ledger`, with `--records 100000000` for a full one.

Writes records of connections, transactions and deliveries as the ledger process does, a thousand
for each commit. The records are made before the clock starts, from patterns in which numbers are
replaced. Then looks up references, message IDs and addresses in a new process, as a command does,
and adds up the totals of a day.

Limits: CPU is that of the process that writes. `--folder` is the disk. The files that are looked up
are in the memory of the system as far as it has memory.
"""

import argparse
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from gatepost.ledger.records import (
    Answer,
    Client,
    Connection,
    Delivery,
    PluginResult,
    RecipientRecord,
    Record,
    Transaction,
    Trap,
    encode,
)
from gatepost.ledger.selection import Key
from gatepost.ledger.store import LedgerReader, LedgerWriter

BATCH = 1000
LOOK_UPS = 100
DAY = 86_400
# The times of the records: one day, whatever their number.
START = 1_700_006_400.0

# What is replaced in an encoded record: the number of the message, its recipient, its client, and
# the time as MessagePack has it.
MESSAGE, USER, NETWORK, HOST = "70000000001", "u900001", "198.51", ".100.123"
TIME = 1_234_567_890.123456

CLIENT = Client(
    NETWORK + HOST,
    40000,
    name="mail.client.example",
    helo="mail.client.example",
    tls="TLSv1.3",
    cipher="TLS_AES_256_GCM_SHA384",
    listener="0.0.0.0:25",
)
OPINIONS = [
    Answer("mail", "spf_check", "accept", "pass", seconds=0.0021),
    Answer("rcpt", "greylist", "defer", "greylisted", "451 4.7.1 Try again later", USER),
    Answer("data", "core", "deny", "trap", "554 5.7.1 Message refused by local policy"),
]


def patterns() -> Iterator[Record]:
    """Yield the records of one message that is accepted, and of one that is refused."""
    accepted = Transaction(
        TIME,
        f"c{MESSAGE}.1",
        f"c{MESSAGE}",
        CLIENT,
        f"s{MESSAGE[-6:]}@d{MESSAGE[-4:]}.example",
        "accepted",
        reply="250 2.0.0 Message accepted",
        seconds=0.31,
        recipients=[RecipientRecord(f"{USER}@example.com", reply="250 2.1.5 OK")],
        recipients_count=1,
        size=4096,
        message_id=f"<{MESSAGE}@client.example>",
        header_from=f"s{MESSAGE[-6:]}@d{MESSAGE[-4:]}.example",
        subject="A subject of the usual length of a subject",
        answers=OPINIONS[:1],
        results=[
            PluginResult("spf", "pass", facts={"mailfrom": f"s{MESSAGE[-6:]}@client.example"}),
            PluginResult("dkim", "pass", facts={"domain": "client.example", "selector": "s1"}),
        ],
    )
    yield Connection(TIME, f"c{MESSAGE}", CLIENT, 0.4, "quit", transactions=1, messages=1)
    yield accepted
    yield Delivery(
        TIME, f"c{MESSAGE}.1", "mx.example.com", "delivered", [f"{USER}@example.com"], 1, "250 OK"
    )
    yield Connection(TIME, f"c{MESSAGE}", CLIENT, 0.4, "quit", transactions=1, faults=1)
    yield Transaction(
        TIME,
        f"c{MESSAGE}.1",
        f"c{MESSAGE}",
        CLIENT,
        f"s{MESSAGE[-6:]}@d{MESSAGE[-4:]}.example",
        "refused",
        by="core",
        reason="trap",
        reply="554 5.7.1 Message refused by local policy",
        recipients=[RecipientRecord(f"{USER}@example.com", reply="250 2.1.5 OK")] * 2,
        recipients_count=2,
        answers=OPINIONS,
        traps=[Trap(f"{USER}@example.com", "@example.com", "traps", 7)],
        traps_count=1,
    )


def generate(records: int, seed: int = 1) -> Iterator[list[bytes]]:
    """Yield batches of encoded records."""
    encoded = [encode(record) for record in patterns()]
    rng = random.Random(seed)
    for first in range(0, records, BATCH):
        yield [
            filled(encoded[number % len(encoded)], number, records, rng.random())
            for number in range(first, min(first + BATCH, records))
        ]


def filled(pattern: bytes, number: int, records: int, chance: float) -> bytes:
    """Return a record: message IDs are unique, a few recipients and networks are frequent."""
    message = b"7%010d" % number
    at = struct.pack(">d", START + DAY * number / records)
    user = b"u9%05d" % int(chance**3 * 99_999)
    skewed = int(chance**2 * 65_535)
    host = b".%3d.%3d" % (100 + skewed % 100, 100 + skewed % 131)
    return (
        pattern.replace(struct.pack(">d", TIME), at)
        .replace(MESSAGE.encode(), message)
        .replace(
            MESSAGE[-6:].encode() + b"@d" + MESSAGE[-4:].encode(),
            b"%b@d%b" % (message[-6:], message[-4:]),
        )
        .replace(USER.encode(), user)
        .replace(HOST.encode(), host)
    )


def write(folder: Path, records: int) -> None:
    """Write the records and print the costs."""
    writer = LedgerWriter(folder, 10 * DAY, 1 << 40, lambda: START + DAY)
    cpu = wall = slowest = 0.0
    octets = 0
    for batch in generate(records):
        octets += sum(map(len, batch))
        used, began = time.process_time(), time.perf_counter()
        writer.add(batch)
        writer.commit()
        writer.tend()
        cpu += time.process_time() - used
        took = time.perf_counter() - began
        wall += took
        slowest = max(slowest, took)
    writer.close()
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"written       {records / wall:10,.0f} records/s, lost {writer.lost}")
    print(f"CPU           {cpu / records * 1e6:10.1f} µs per record")
    print(f"slowest batch {slowest * 1000:10.0f} ms")
    print(f"record        {octets / records:10.0f} octets, encoded")
    segments = len(list(folder.glob("*.sqlite")))
    print(f"on disk       {size / records:10.0f} octets per record, {segments} segments")
    print_memory()


def read(folder: Path, records: int) -> None:
    """Look up records and print the times."""
    rng = random.Random(2)
    made: dict[str, Callable[[int], Key]] = {
        "ref": lambda number: Key("ref", f"c7{number:010d}"),
        "message id": lambda number: Key("message_id", f"7{number:010d}@client.example"),
        "address": lambda number: Key(
            "address", f"s{number % 10**6:06d}@d{number % 10**4:04d}.example"
        ),
        "recipient": lambda number: Key("address", f"u9{number % 99_999:05d}@example.com"),
        "unknown": lambda number: Key("ref", f"none{number}"),
    }
    reader = LedgerReader(folder)
    for name, key in made.items():
        times, used = [], time.process_time()
        found = 0.0
        for _ in range(LOOK_UPS):
            sought = key(rng.randrange(records) // 5 * 5 + 1)
            began = time.perf_counter()
            found += len(reader.find(sought, 20))
            times.append(time.perf_counter() - began)
        middle, worst = median(times) * 1000, max(times) * 1000
        found /= LOOK_UPS
        cpu = (time.process_time() - used) / LOOK_UPS * 1000
        print(
            f"find {name:<10} {middle:7.1f} ms median, {worst:7.1f} ms worst, {cpu:7.1f} ms CPU,"
            f" {found:.1f} found"
        )
    began = time.perf_counter()
    totals = reader.totals(START, START + DAY)
    took = time.perf_counter() - began
    print(f"totals        {took:10.2f} s, {sum(totals.counts['end'].values())} connections")
    print_memory()


def print_memory() -> None:
    """Print the peak memory of this process."""
    # The figure of getrusage starts with that of the parent.
    status = Path("/proc/self/status").read_text()
    peak = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:"))
    print(f"memory        {int(peak) / 1024:10.0f} MiB, peak")


def main() -> None:
    """Write, and read in a process of its own; or read what is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument(
        "--folder", type=Path, help="a new folder; the default is removed at the end"
    )
    parser.add_argument("--read", action="store_true", help="only read an existing folder")
    options = parser.parse_args()
    if options.read:
        read(options.folder, options.records)
        return
    folder = options.folder or Path(tempfile.mkdtemp()) / "ledger"
    try:
        write(folder, options.records)
        command = [sys.executable, "-m", "bench.ledger", "--read", "--folder", str(folder)]
        subprocess.run([*command, "--records", str(options.records)], check=True)
    finally:
        if options.folder is None:
            shutil.rmtree(folder.parent)


if __name__ == "__main__":
    main()
