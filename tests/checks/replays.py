"""Records that a real server makes of dialogues, kept in a real ledger, and their replay."""

import asyncio

from gatepost import config_from_dict
from gatepost.checks.replay.run import Replay
from gatepost.ledger.records import encode
from gatepost.ledger.selection import Selection
from gatepost.ledger.store import LedgerReader, LedgerWriter
from gatepost.model.facts import set_fact
from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.server.memory import MemoryServer

KEEP = 3650 * 86400.0
PEER = ("192.0.2.7", 40412)
CONTENT = "Subject: hello\r\n\r\nHello.\r\n.\r\n"


def configuration(folder, **tables):
    """Return a configuration in a folder; tables are those of a configuration file."""
    data = {
        "server": {"hostname": "mx.example.com"},
        "smtp": {"unauthorised_pipelining": "tolerate"},
        "listen": [{"address": "127.0.0.1:0", "name": "mx"}],
        "recipients": {"domains": ["example.com"]},
        "route": [{"to": "discard:"}],
        **tables,
    }
    return config_from_dict(data, folder)


def message(*recipients, sender="alice@example.org", end=f"DATA\r\n{CONTENT}"):
    """Return a transaction as the client sends it."""
    named = "".join(f"RCPT TO:<{one}>\r\n" for one in recipients)
    return f"MAIL FROM:<{sender}>\r\n{named}{end}"


def session(*transactions, hello="EHLO mail.example.org\r\n"):
    """Return a session as the client sends it."""
    return f"{hello}{''.join(transactions)}QUIT\r\n"


def recorded(config, *sessions, peer=PEER, protocol="", facts=None):
    """Return the records of sessions; `facts` are set on each client's session."""
    records = []

    async def play():
        clock = VirtualClock()
        async with MemoryServer(config=config, clock=clock, records=records.append) as server:
            for text in sessions:
                client = server.connect(peer, protocol, "mx")
                for name, value in (facts or {}).items():
                    set_fact(client._connection.talk.session, name, value)
                client.send(text.encode())
                while await client.reply():
                    pass
                await client.close()

    asyncio.run(play())
    return records


def kept(folder, records):
    """Write records to a new ledger; return them as they are read, the oldest first."""
    octets = [one if isinstance(one, bytes) else encode(one) for one in records]
    writer = LedgerWriter(folder, KEEP, 1 << 30)
    writer.add(octets)
    writer.commit()
    writer.close()
    reader = LedgerReader(folder)
    try:
        return list(reader.select(Selection(), oldest_first=True))
    finally:
        reader.close()


def replayed(config, records):
    """Return the findings of a replay."""
    replay = Replay(config)
    asyncio.run(replay.run(records))
    return replay.findings


def changes(groups):
    """Return the subject, the author, the reason and the number of each group."""
    return [(one.subject, one.by, one.reason, one.count) for one in groups]
