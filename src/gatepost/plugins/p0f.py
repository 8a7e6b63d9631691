"""Ask p0f for the operating system of the client.

p0f 3 recognises systems by their packets, and answers queries on a Unix socket (`p0f -s PATH`).

Trusts the socket; names from it are checked and shortened all the same.
Limits: one connection for each client, and no answer after `timeout`. After a failure p0f is not
asked for PAUSE seconds.
"""

import asyncio
import struct
from pathlib import Path
from typing import Literal, NamedTuple

from gatepost import Decision, Duration, Plugin, Reaction, Session, field
from gatepost.plugins._addresses import IpAddress, packet_address
from gatepost.plugins._client import ClientCheck, Finding, outside_address, points

# Seconds for which p0f is not asked after a failure.
PAUSE = 10.0

# struct p0f_api_query and p0f_api_response of p0f 3 (api.h), in the byte order of the machine.
QUERY = struct.Struct("=IB16s")
RESPONSE = struct.Struct("=9IhBB32s32s32s32s32s32s")
QUERY_MAGIC, RESPONSE_MAGIC = 0x50304601, 0x50304602
OK, NO_MATCH = 0x10, 0x20


class System(NamedTuple):
    """The facts that p0f has about a host.

    `name` and `flavour` are such as "Linux" and "3.11 and newer", "" if it is not recognised.
    `distance` is in hops, -1 if it is not known; `uptime` is in minutes, 0 if it is not known.
    """

    name: str
    flavour: str
    distance: int
    uptime: int
    link: str

    def __str__(self) -> str:
        return f"{self.name} {self.flavour}".strip()


class P0f(ClientCheck):
    """Adds the result `p0f`: "known", "unknown" or "temperror", with the facts of `System`."""

    class Options(Plugin.Options):
        """The socket, and reactions by the name of the system."""

        socket: Path = Path("/run/p0f.sock")
        """The socket of p0f."""
        systems: dict[str, Reaction] = field(default_factory=dict)
        """The reaction to a system, by a part of its name such as "Windows" or "Windows XP".
        Letter case is ignored. The first entry that matches counts."""
        timeout: Duration = Duration("250ms")
        """How long p0f may take."""
        decide_at: Literal["helo", "rcpt"] = "rcpt"
        """Where a client is refused. At "rcpt" the recipients are recorded, and authenticated
        clients are exempt."""

        def __post_init__(self) -> None:
            if not self.timeout > 0:
                raise ValueError("expected a time-out of more than 0 seconds")

    _is_down = False
    _asked_from = 0.0

    async def on_helo(self, session: Session, _name: str) -> Decision | None:
        """Ask p0f once in a session, unless it only sees a proxy instead of the client."""
        address = packet_address(session.peer.host)
        if address is None or outside_address(session) is None or session.via is not None:
            return None
        if "p0f" not in session.results and self.clock.time() >= self._asked_from:
            await self._ask(session, address)
        return self.decide_now(session)

    async def _ask(self, session: Session, address: IpAddress) -> None:
        try:
            async with asyncio.timeout(self.options.timeout):
                system = await query(self.options.socket, address)
        except (OSError, EOFError, ValueError) as error:
            self._fail(error)
            session.results.add("p0f", "temperror")
            return
        if self._is_down:
            self._is_down = False
            self.log.info("p0f available")
        self._add(session, system)

    def _fail(self, error: Exception) -> None:
        """Pause; only the first failure of an outage is logged."""
        self.metrics.counter("unanswered").inc()
        self._asked_from = self.clock.time() + PAUSE
        if not self._is_down:
            self._is_down = True
            problem = str(error) or type(error).__name__
            self.log.warning("p0f unavailable", socket=str(self.options.socket), problem=problem)

    def _add(self, session: Session, system: System) -> None:
        findings = (_finding(str(system)),) if system.name else ()
        session.results.add(
            "p0f",
            "known" if system.name else "unknown",
            system=str(system),
            distance=system.distance,
            uptime=system.uptime,
            link=system.link,
            score=points(findings, self.options),
        )
        self.keep(session, findings)


def _finding(system: str) -> Finding:
    def reaction(options: P0f.Options) -> Reaction:
        key = system.lower()
        found = (one for name, one in options.systems.items() if name.lower() in key)
        return next(found, Reaction())

    return Finding(
        "system", "Your operating system is not that of a mail server", "5.7.1", reaction
    )


async def query(path: Path, address: IpAddress) -> System:
    """Return the facts that p0f has about an address.

    Raises OSError, EOFError or ValueError if p0f does not answer, or not as described.
    """
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(encode_query(address))
        return decode_response(await reader.readexactly(RESPONSE.size))
    finally:
        writer.close()


def encode_query(address: IpAddress) -> bytes:
    """Return the query about an address, 21 octets."""
    return QUERY.pack(QUERY_MAGIC, address.version, address.packed)


def decode_response(data: bytes) -> System:
    """Return what a response of 232 octets contains; raises ValueError for another one."""
    magic, status, *numbers = RESPONSE.unpack(data)
    if magic != RESPONSE_MAGIC or status not in (OK, NO_MATCH):
        raise ValueError(f"expected a response of p0f 3, found {magic:#x} with status {status:#x}")
    if status == NO_MATCH:
        return UNKNOWN
    uptime, distance = numbers[3], numbers[7]
    name, flavour, _, _, link, _ = map(_text, numbers[10:])
    return System(name, flavour, distance, uptime, link)


def _text(octets: bytes) -> str:
    """Return a name: printable ASCII up to the first zero octet."""
    text = octets.partition(b"\0")[0].decode("ascii", "replace")
    return "".join(one if " " <= one <= "~" else "?" for one in text)


UNKNOWN = System("", "", -1, 0, "")
