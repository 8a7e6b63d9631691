"""A server in Python on uvloop that only sends canned replies: the yardstick of the bench.

`python bench/floor.py PORT accept|refuse`. It is the least that a server in Python pays for a
message: the event loop, the system calls, and a look at the first letters of a command. It has no
parser, no session, no limits, and stores nothing. It understands only clients that wait for each
reply, as smtp-source does.
"""

from __future__ import annotations

import asyncio
import sys
from typing import ClassVar

import uvloop

GREETING = b"220 bench.example ESMTP\r\n"
OK = b"250 2.0.0 Ok\r\n"
START = b"354 End data with <CR><LF>.<CR><LF>\r\n"
BYE = b"221 2.0.0 Bye\r\n"
REFUSED = b"554 5.7.1 Refused\r\n"
END = b"\r\n.\r\n"


class Floor(asyncio.Protocol):
    """One connection."""

    refuses: ClassVar[bool] = False

    def __init__(self) -> None:
        self._in_content = False
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the greeting."""
        assert not isinstance(transport, asyncio.ReadTransport)  # uvloop has a class of its own
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]
        self._transport.write(GREETING)

    def data_received(self, data: bytes) -> None:
        """Reply to a command, or to the end of the content."""
        if self._in_content:
            self._receive_content(data)
        elif data[:4] == b"DATA":
            self._in_content, self._tail = not self.refuses, b"\r\n"
            self._transport.write(REFUSED if self.refuses else START)
        elif data[:4] == b"QUIT":
            self._transport.write(BYE)
            self._transport.close()
        else:
            self._transport.write(OK)

    def _receive_content(self, data: bytes) -> None:
        if len(data) >= len(END):
            self._tail = data[-len(END) :]
        else:  # the end may be in two reads
            self._tail = (self._tail + data)[-len(END) :]
        if self._tail == END:
            self._in_content = False
            self._transport.write(OK)


async def main(port: int, kind: str) -> None:
    """Serve until the process is ended."""
    Floor.refuses = kind == "refuse"
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Floor, "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), sys.argv[2]))
