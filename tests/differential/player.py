"""Plays a row to a server in memory and compares the replies."""

import asyncio
import re

from tests.differential.client import Client
from tests.differential.row import CLOSE, TLS
from tests.differential.servers import KINDS, configure, prepare, settings

from gatepost.server.memory import MemoryServer

# The greeting and the replies to EHLO and HELO have no enhanced status code (RFC 2034 section 4).
CODED = re.compile(r"([245])\d\d[ -]\1\.\d{1,3}\.\d{1,3} ")
TRACE = re.compile(rb"Received: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")
MAX_REPLY_LINE = 512  # RFC 5321 section 4.5.3.1.5


def stepwise(steps):
    """Wait for the replies to each step."""
    return [([sent], replies) for sent, replies in steps]


def bytewise(steps):
    """Send every octet on its own, and wait for the replies to each step."""
    return [(octets(sent), replies) for sent, replies in steps]


def whole(steps):
    """Send everything in one piece."""
    return [([b"".join(sent for sent, _ in steps)], " ".join(replies for _, replies in steps))]


def octets(sent):
    return [sent] if sent is TLS else [sent[at : at + 1] for at in range(len(sent))]


CUTS = {"stepwise": stepwise, "bytewise": bytewise, "whole": whole}


def encoded(steps, protocol):
    """Return the steps as octets."""
    return [(to_octets(sent, protocol), replies) for sent, replies in steps]


def to_octets(sent, protocol):
    if isinstance(sent, bytes):
        return sent
    if protocol == "lmtp" and sent.upper().startswith("EHLO"):
        sent = "L" + sent[1:]
    return f"{sent}\r\n".encode()


def play(row, kind, protocol, cuts, folder):
    """Play a row, cut in each of these ways; raise AssertionError at the first difference."""
    asyncio.run(_play(row, KINDS[kind], protocol, cuts, folder))


async def _play(row, kind, protocol, cuts, folder):
    async with MemoryServer(config=configure(kind, folder)) as server:
        prepare(kind, server)
        for cut in cuts:
            client = Client(server, settings(kind, protocol, folder, server), kind.peer)
            try:
                await _perform(client, CUTS[cut](encoded(row.dialogue, protocol)))
            finally:
                await client.close()
            check_messages(row, server.messages)
            server.messages.clear()


async def _perform(client, steps):
    """Send the pieces of each step and compare the replies to it."""
    check_replies(await client.replies(), "220", client.closed, "the greeting")
    for pieces, expected in steps:
        for piece in pieces:
            await send(client, piece)
        check_replies(await client.replies(), expected, client.closed, pieces)


async def send(client, piece):
    """Send octets, or perform the handshake."""
    if piece is TLS:
        await client.handshake()
    else:
        client.send(piece)


def check_replies(replies, expected, closed, sent):
    """Compare the codes; check what holds for every reply."""
    codes = [reply[:3].decode() for reply in replies]
    wanted = expected.split()
    closes = wanted[-1:] == [CLOSE]
    patterns = wanted[:-1] if closes else wanted
    same = len(codes) == len(patterns) and all(map(str.startswith, codes, patterns))
    assert same, f"{sent[:20]}: expected {expected!r}, found {b''.join(replies).decode()!r}"
    assert closed is closes, f"{sent[:20]}: closed is {closed}"
    for reply in replies:
        check_form(reply.decode("ascii"))


def check_form(reply):
    lines = reply.splitlines(keepends=True)
    assert all(len(line) <= MAX_REPLY_LINE for line in lines)
    assert len({line[:3] for line in lines}) == 1
    greeting = reply.startswith(("220 localhost", "250-localhost", "250 localhost", "334"))
    assert greeting or reply[0] == "3" or all(map(CODED.match, lines)), reply


def same_content(content, sent):
    """Compare content; an empty line may separate the server's header from content without one."""
    return content in (sent, b"\r\n" + sent)


def check_messages(row, messages):
    """Compare the accepted messages; check that each has only CRLF and no NUL."""
    contents = [TRACE.sub(b"", one.content, count=1) for one in messages]
    for content in contents:
        rest = content.replace(b"\r\n", b"")
        assert not set(rest) & set(b"\r\n\0")
    if row.messages is not None:
        assert len(contents) == len(row.messages)
        assert all(map(same_content, contents, row.messages))
    if row.senders is not None:
        assert [one.reverse_path for one in messages] == row.senders
    if row.recipients is not None:
        assert [to for one in messages for to in one.recipients] == row.recipients
