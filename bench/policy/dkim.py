"""The cost of DKIM alone, in this process: verification, and how long it holds the event loop.

The turns of the loop are those of a server with the plugin `dkim` while messages of 1 MB arrive,
and those of one without. The time of a turn is the CPU time of its thread, so other programs do not
count.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import gatepost
from bench.policy import senders
from bench.policy.client import Traffic, send
from bench.policy.senders import SIZES
from bench.process import BenchError
from bench.table import Table
from gatepost.mailauth.dkim import BodyHashes, read_signatures, verify
from gatepost.mailauth.zone import Zone, ask_zone
from gatepost.testing import FakeResolver

if TYPE_CHECKING:
    from collections.abc import Sequence

CHUNK = 64 * 1024  # octets, as the server reads them
REPEATS = {"4 KB": 200, "1 MB": 5}
BATCHES = 5
TURNS = Traffic(SIZES["1 MB"], 10, at_once=1)
PREFIX = f"{senders.SELECTOR}._domainkey"


def table() -> Table:
    """Measure, and return the table."""
    made = Table("DKIM (RSA-2048, relaxed/relaxed)", ("measured", "message", "ms"))
    for name, size in SIZES.items():
        made.rows.append(("verification, CPU", name, f"{verification(size, REPEATS[name]):.3f}"))
    for label, plugins in (("with dkim", ["dkim"]), ("without plugins", [])):
        longest = _run(plugins)
        made.rows.append((f"longest turn of the loop, {label}", "1 MB", f"{longest:.3f}"))
    return made


def verification(size: int, repeats: int) -> float:
    """Return the CPU milliseconds of one verification, the cheapest of some batches."""
    message = senders.message(0, size)
    name = f"{PREFIX}.sender0.example"
    zone = Zone({name: [{"TXT": senders.key_record(0)}]})
    batches = []
    for _ in range(BATCHES):
        began = time.process_time()
        for _ in range(repeats):
            verified(message, zone)
        batches.append((time.process_time() - began) * 1000 / repeats)
    return min(batches)


def verified(message: bytes, zone: Zone) -> None:
    """Verify a message as it arrives; raise BenchError if its signature does not pass."""
    end = message.index(b"\r\n\r\n") + 2
    block, body = message[:end], memoryview(message)[end + 2 :]
    signatures = read_signatures(block)
    hashes = BodyHashes(signatures)
    for start in range(0, len(body), CHUNK):
        hashes.update(bytes(body[start : start + CHUNK]))
    hashes.finish()
    results = ask_zone(verify(block, signatures, hashes, time.time()), zone)
    if [one.result for one in results] != ["pass"]:
        raise BenchError(f"DKIM: found {results}")


class Timed(asyncio.SelectorEventLoop):
    """An event loop that keeps the CPU time of its longest turn, in seconds."""

    longest = 0.0

    def _run_once(self) -> None:
        began = time.thread_time()
        super()._run_once()  # type: ignore[misc]
        self.longest = max(self.longest, time.thread_time() - began)


def _run(plugins: Sequence[str]) -> float:
    with asyncio.Runner(loop_factory=Timed) as runner:
        return runner.run(longest_turn(plugins))


async def longest_turn(plugins: Sequence[str]) -> float:
    """Return the milliseconds of the longest turn while messages of 1 MB arrive."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Timed)
    keys = {
        f"{PREFIX}.sender{number}.example": senders.key_record(number)
        for number in range(senders.DOMAINS)
    }
    with tempfile.TemporaryDirectory() as folder:
        config = gatepost.config_from_dict(_config(plugins), base=Path(folder))
        async with gatepost.Server(config, resolver=FakeResolver(txt=keys)) as server:
            port = int(server.addresses[0][1].rpartition(":")[2])
            await _arrive(port, Traffic(TURNS.size, 2))  # imports and first allocations
            loop.longest = 0.0
            await _arrive(port, TURNS)
            return loop.longest * 1000


def _config(plugins: Sequence[str]) -> dict[str, object]:
    return {
        "listen": [{"address": "127.0.0.1:0", "proxy_from": ["127.0.0.0/8"]}],
        "limits": {"connection_rate_per_ip": 1_000_000},
        "recipients": {"domains": ["bench.example"]},
        "route": [{"to": "discard:"}],
        "plugin": [{"use": name} for name in plugins],
    }


async def _arrive(port: int, traffic: Traffic) -> None:
    """Send messages from another thread; raise BenchError if one is not accepted."""
    found = await asyncio.to_thread(send, port, traffic)
    if found != {b"2": traffic.messages}:
        raise BenchError(f"DKIM: found the replies {dict(found)}")
