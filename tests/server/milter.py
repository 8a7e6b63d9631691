"""A server with a milter listener, and a mail server that asks it."""

import asyncio
import contextlib
import struct

from msgspec.structs import replace
from tests.references import without_references
from tests.server.loopback import LOOPS, LoopbackServer, config
from tests.wire import mta

from gatepost import Plugin
from gatepost.config.schema import RecipientsConfig, TrapsConfig
from gatepost.server.server import Server

TRAP, GOOD = "trap@example.com", "good@example.com"
REFUSED = "554 5.7.1 Message refused by local policy"
UNKNOWN = {"rcpt_mailer": "error", "rcpt_host": "5.1.1", "rcpt_addr": "User unknown"}
# Responses that change the message, and those that are the last.
CHANGES, LAST = set("hmie+2-bq"), set("cydOs")


def plugin(name="test", **methods):
    """Return a plugin made of functions that have no `self`."""
    made = Plugin()
    made.name = name
    for method, function in methods.items():
        setattr(made, method, function)
    return made


class Mta:
    """One connection of a mail server; `ask` sends a packet and returns the response.

    A refusal is returned as its text without the reference, any other response as its code.
    `changes` are those of the last message.
    """

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.changes = []

    def send(self, *packets):
        self.writer.write(b"".join(packets))

    async def response(self):
        (size,) = struct.unpack("!I", await self.reader.readexactly(4))
        packet = await self.reader.readexactly(size)
        return packet[:1].decode(), packet[1:]

    async def ask(self, *packets):
        self.send(*packets)
        self.changes = []
        while True:
            code, data = await self.response()
            if code in CHANGES:
                self.changes.append((code, data))
            elif code == "y":
                return without_references(data.decode().rstrip("\0"))
            elif code in LAST:
                return code

    async def open(self, *macros, steps=mta.STEPS, version=6):
        """Negotiate, and begin the session of a client."""
        await self.ask(mta.offer(version, steps=steps))
        return await self.begin(*macros)

    async def begin(self, *macros, address="192.0.2.1"):
        self.send(*macros, mta.connect(address), mta.helo())
        return self

    async def mail(self, *recipients, path="<a@client.example>"):
        """Send the envelope; return the responses to MAIL and to each recipient."""
        asked = [await self.ask(mta.mail(path))]
        return asked + [await self.rcpt(one) for one in recipients]

    async def rcpt(self, address, **macros):
        asked = (mta.macros("R", **macros),) if macros else ()
        return await self.ask(*asked, mta.rcpt(f"<{address}>"))

    async def data(self):
        return await self.ask(mta.DATA)

    async def content(self, *fields, text=b"text\r\n"):
        """Send the message; return the response to its end, or to what ends it before."""
        for packet in (*(mta.field(*one) for one in fields), mta.END_OF_FIELDS, mta.body(text)):
            if packet[4:5] == b"L":
                self.send(packet)
            elif (response := await self.ask(packet)) not in ("c", "s"):
                return response
        return await self.ask(mta.END)

    async def message(self, *fields, to=(GOOD,), text=b"text\r\n"):
        """Send a whole message; return the response that decides about it."""
        await self.mail(*to)
        refused = await self.data()
        return refused if refused != "c" else await self.content(*fields, text=text)

    async def close(self):
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Milter(LoopbackServer):
    """A started server; `records` are those that it has made."""

    def __init__(self, server, records):
        super().__init__(server)
        self.records = records

    async def connect_mta(self):
        _, address = self.server.addresses[0]
        if address.startswith("unix:"):
            return Mta(*await asyncio.open_unix_connection(address.removeprefix("unix:")))
        host, _, port = address.rpartition(":")
        return Mta(*await asyncio.open_connection(host, int(port)))

    async def mta(self, *macros, **terms):
        """Return a mail server whose client has sent HELO."""
        return await (await self.connect_mta()).open(*macros, **terms)

    async def until_closed(self):
        await self.until(lambda: not self.connections.members)


def milter_config(folder, traps=(), recipients=None, **more):
    (folder / "traps").write_text("".join(f"{one}\n" for one in traps))
    rules = more.pop("trap_rules", {})
    made = config(folder, **more)
    return replace(
        made,
        listen=[replace(made.listen[0], protocol="milter", name="mta")],
        traps=TrapsConfig(**({"lists": ["traps"], "delay": 0.0} | rules)),
        recipients=RecipientsConfig(**({"domains": ["example.com"]} | (recipients or {}))),
    )


def run(scenario, made, *plugins, clock=None):
    """Start a server and pass it to `scenario`, a coroutine function."""

    async def main():
        records = []
        async with Server(made, plugins, clock, records=records.append) as server:
            return await scenario(Milter(server, records))

    with asyncio.Runner(loop_factory=LOOPS["asyncio"]) as runner:
        return runner.run(asyncio.wait_for(main(), 60))
