"""Input that has broken other servers, over every transport, in whole and in pieces.

Each row has the octets that a client sends after the greeting (and after the TLS handshake, if
any), and the exact replies up to the end of the connection. QUIT is added to a row that does not
end the connection. The tests of the wire have more rows; these go through sockets and TLS.
"""

import contextlib
from typing import NamedTuple

import msgspec
import pytest
from structlog.testing import capture_logs
from tests.net.authority import write
from tests.server.loopback import HELO, config, run
from tests.server.transports import CUTS, TRANSPORTS, TransportClient, octetwise
from tests.vectors import LOCAL_RELAY, NMAP_RELAY, SMUGGLING

from gatepost.config.schema import CertificateConfig, TlsConfig
from gatepost.plugin.base import Plugin

MAIL = HELO + b"MAIL FROM:<one@client.example>\r\n"
RCPT = MAIL + b"RCPT TO:<one@example.com>\r\n"
DATA = RCPT + b"DATA\r\n"
LIMIT = 200  # message_size
INNER = b"MAIL FROM:<evil@x>\r\nRCPT TO:<two@example.com>\r\nDATA\r\nSubject: SECOND\r\n\r\n.\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12)

IN_SESSION = ("250",)
IN_MAIL = (*IN_SESSION, "250")
IN_RCPT = (*IN_MAIL, "250")
IN_DATA = (*IN_RCPT, "354")
IMPURE = "550 5.6.0 Message contains a bare CR, bare LF or NUL"
BAD_LINE = "500 5.5.2 Bare <CR> or <LF> received"
BAD_SIZE = "501 5.5.4 Syntax error: expected BDAT size [LAST]"
FAILED = "503 5.5.1 Bad sequence of commands: the transaction has failed"


class Row(NamedTuple):
    """`sent` is answered by lines that start with `replies`, and delivers `mails`."""

    sent: bytes
    replies: tuple[str, ...]
    mails: tuple[bytes, ...] = ()
    closes: bool = False


def ends(sent, *replies):
    """Return a row after which the connection is closed."""
    return Row(sent, replies, closes=True)


def bdat(content, last=" LAST"):
    return b"BDAT %d%s\r\n" % (len(content), last.encode()) + content


def smuggling(before):
    return [ends(DATA + before + sequence + INNER, *IN_DATA, IMPURE) for sequence in SMUGGLING]


ROWS = {
    "smuggling": [
        *smuggling(b"Subject: a\r\n\r\nbody"),
        *smuggling(b"Subject: a"),
        *smuggling(b""),
        *smuggling(b"x" * (LIMIT + 1)),
        *(ends(RCPT + bdat(b"body" + one + INNER), *IN_RCPT, IMPURE) for one in SMUGGLING),
        ends(DATA + b"Subject: a\n" + b"\r\nbody\r\n.\r\n" + INNER, *IN_DATA, IMPURE),
        ends(MAIL + b"NOOP\nNOOP\r\n", *IN_MAIL, BAD_LINE),
        ends(MAIL + b"NOOP\r\r\nNOOP\r\n", *IN_MAIL, BAD_LINE),
        ends(MAIL + b"RCPT TO:<one@example.com>\nDATA\r\n", *IN_MAIL, BAD_LINE),
        ends(HELO + b"MAIL FROM:<one@x>\rRCPT TO:<one@example.com>\r\n", *IN_SESSION, BAD_LINE),
        Row(DATA + b"..\r\n...\r\n.\r\n", (*IN_DATA, "250"), (b".\r\n..\r\n",)),
    ],
    "chunks": [
        *(
            ends(RCPT + b"BDAT" + size + b"\r\nhello\r\n", *IN_RCPT, BAD_SIZE)
            for size in (b"", b" ", b" x", b" -1", b" 0x10", b" 1 FIRST", b" " + b"9" * 20)
        ),
        Row(RCPT + bdat(b"a\r\n.\r\n" + INNER), (*IN_RCPT, "250"), (b"a\r\n.\r\n" + INNER,)),
        Row(RCPT + bdat(b"a\r", "") + bdat(b"\nb"), (*IN_RCPT, "250", "250"), (b"a\r\nb",)),
        Row(RCPT + bdat(b"", "") + b"DATA\r\n", (*IN_RCPT, "551 5.7.1", "503")),
        Row(bdat(b"QUIT\r\n") + HELO + bdat(b"QUIT\r\n"), ("503", "250", "503")),
        Row(MAIL + bdat(b"QUIT\r\n"), (*IN_MAIL, "554")),
        Row(RCPT + bdat(b"x" * (LIMIT + 1)) + b"DATA\r\n", (*IN_RCPT, "552", "503")),
        Row(RCPT + bdat(b"x", "") + b"DATA\r\n", (*IN_RCPT, "250", "503")),
        ends(RCPT + bdat(b"x", "") + bdat(b"a\nb") + b"NOOP\r\n", *IN_RCPT, "250", IMPURE),
        ends(RCPT + bdat(b"x\r", "") + bdat(b""), *IN_RCPT, "250", IMPURE),
    ],
    "states": [
        Row(MAIL + b"MAIL FROM:<two@x>\r\n", (*IN_MAIL, "503")),
        Row(
            DATA + b"x" * LIMIT + b"\r\n.\r\nRCPT TO:<one@example.com>\r\n",
            (*IN_DATA, "552", "503"),
        ),
        Row(MAIL + "VRFY ä\r\nRCPT TO:<one@example.com>\r\n".encode(), (*IN_MAIL, "", "250")),
        Row(RCPT + HELO + b"DATA\r\n", (*IN_RCPT, "250", "503")),
        Row(RCPT + b"RSET\r\nDATA\r\n", (*IN_RCPT, "250", "503")),
        Row(b"DATA\r\n", ("503",)),
        Row(MAIL + b"DATA\r\n", (*IN_MAIL, "")),
        ends(DATA + b"x\r\n.\r\nQUIT\r\n", *IN_DATA, "250", "221")._replace(mails=(b"x\r\n",)),
        *(ends(verb + b" / HTTP/1.1\r\n" + DATA, "554") for verb in (b"GET", b"POST", b"CONNECT")),
        Row(RCPT + b"STARTTLS\r\nDATA\r\n.\r\n", (*IN_RCPT, "50", "354", "250"), (b"",)),
    ],
    "client identity": [
        Row(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n" + HELO, ("500", "250")),
        Row(b"PROXY UNKNOWN\r\n" * 2 + HELO, ("500", "500", "250")),
        ends(V2, "500", "500", "500", BAD_LINE),
        Row(HELO + b"XCLIENT ADDR=192.0.2.1\r\nXFORWARD ADDR=192.0.2.1\r\n", ("250", "500", "500")),
    ],
    "relay": [
        Row(HELO + b"MAIL FROM:<antispam@[127.0.0.1]>\r\nRCPT TO:" + one + b"\r\n", (*IN_MAIL, "5"))
        for one in NMAP_RELAY + LOCAL_RELAY
    ],
}


class ContentRecorder(Plugin):
    """Records the content of delivered messages."""

    def __init__(self):
        super().__init__()
        self.mails = []

    def on_deliver(self, tx):
        self.mails.append(b"".join(tx.message.content()))


def served(folder, transport):
    made = config(folder, limits={"message_size": LIMIT})
    if transport == "plain":
        return made
    cert, key = write(folder, "mx.example.com")
    listen = [msgspec.structs.replace(made.listen[0], tls=transport)]
    tls = TlsConfig(certificates=[CertificateConfig(names=("*",), cert=cert.name, key=key.name)])
    return msgspec.structs.replace(made, listen=listen, tls=tls)


async def played(running, row, transport, cut):
    """Return the replies to a row."""
    client = await TransportClient.connect(running, transport)
    await client.send(*CUTS[cut](row.sent + (b"" if row.closes else b"QUIT\r\n")))
    replies = await client.rest()
    await client.close()
    await running.until(lambda: not running.connections.members)
    return replies


def is_answered(row, replies, mails):
    expected = [*row.replies, *(() if row.closes else ("221",))]
    return (
        len(replies) == len(expected)
        and all(map(str.startswith, replies, expected))
        and list(mails) == list(row.mails)
    )


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_rows_get_the_expected_replies(tmp_path, rows, transport, cut, loop):
    recorder, wrong = ContentRecorder(), []

    async def scenario(running):
        for row in rows:
            replies = await played(running, row, transport, cut)
            if not is_answered(row, replies, recorder.mails):
                wrong.append((row, replies, recorder.mails.copy()))
            recorder.mails.clear()

    with capture_logs() as logs:
        run(scenario, served(tmp_path, transport), [recorder], loop=loop)
    assert wrong == []
    assert not [one for one in logs if one["log_level"] in ("error", "critical")]


STATES = {
    "greeted": (b"", ()),
    "in a command": (b"EHL", ()),
    "between CR and LF": (HELO + b"NOOP\r", IN_SESSION),
    "ready": (HELO, IN_SESSION),
    "in a transaction": (RCPT, IN_RCPT),
    "in DATA": (DATA + b"Subject: cut\r\n\r\ntext\r\n", IN_DATA),
    "before the last LF of DATA": (DATA + b"text\r\n.\r", IN_DATA),
    "in a chunk": (RCPT + b"BDAT 100 LAST\r\ntext\r\n.\r\n", IN_RCPT),
    "between chunks": (RCPT + bdat(b"text\r\n", ""), (*IN_RCPT, "250")),
    "in an unwanted chunk": (HELO + b"BDAT 100 LAST\r\ntext\r\n", IN_SESSION),
}
TLS = [transport for transport in TRANSPORTS if transport != "plain"]


@pytest.mark.parametrize("close_notify", [True, False], ids=["close_notify", "cut"])
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_end_of_file_gets_all_replies_and_delivers_no_partial_message(
    tmp_path, transport, close_notify, loop
):
    recorder = ContentRecorder()

    async def scenario(running):
        for name, (sent, replies) in STATES.items():
            client = await TransportClient.connect(running, transport)
            await client.send(sent)
            if close_notify and transport != "plain":
                await client.half_close_tls()
            client.writer.write_eof()
            got = await client.rest()
            assert [reply[:3] for reply in got] == list(replies), name
            await client.close()
            await running.until(lambda: not running.connections.members)

    with capture_logs() as logs:
        run(scenario, served(tmp_path, transport), [recorder], loop=loop)
    assert recorder.mails == []
    assert not [one for one in logs if one["log_level"] in ("error", "critical")]


@pytest.mark.parametrize("transport", TLS)
def test_end_of_file_instead_of_a_handshake_gets_no_reply(tmp_path, transport, loop):
    async def scenario(running):
        for data in (b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"):
            client = await TransportClient.before_handshake(running, transport)
            await client.send_raw(data)
            client.writer.write_eof()
            assert await client.rest() == []
            await client.close()
            await running.until(lambda: not running.connections.members)

    with capture_logs() as logs:
        run(scenario, served(tmp_path, transport), loop=loop)
    assert not [one for one in logs if one["log_level"] in ("error", "critical")]


# The rest of a message and more commands: it would complete the data sent under TLS.
IN_THE_CLEAR = {
    "in DATA": b"text\r\n.\r\n" + INNER,
    "in a chunk": b"x" * 100 + INNER,
    "between chunks": bdat(b"text\r\n") + INNER,
    "in a transaction": b"DATA\r\ntext\r\n.\r\n",
    "ready": b"NOOP\r\n",
}


@pytest.mark.parametrize("together", [True, False], ids=["in one segment", "apart"])
@pytest.mark.parametrize("state", IN_THE_CLEAR)
@pytest.mark.parametrize("transport", TLS)
def test_data_in_the_clear_after_tls_is_ignored(tmp_path, transport, state, together, loop):
    """CVE-2026-45185: octets after close_notify are neither content nor commands."""
    recorder = ContentRecorder()
    sent, replies = STATES[state]

    async def scenario(running):
        client = await TransportClient.connect(running, transport)
        await client.send(sent)
        got = [(await client.reply())[:3] for _ in replies]
        await client.end_tls(IN_THE_CLEAR[state] if together else b"")
        with contextlib.suppress(ConnectionError):
            await client.send_raw(IN_THE_CLEAR[state])
        await running.until(lambda: not running.connections.members)
        assert got == list(replies)
        assert b"250" not in await client.rest_raw()
        await client.close()

    with capture_logs() as logs:
        run(scenario, served(tmp_path, transport), [recorder], loop=loop)
    assert recorder.mails == []
    assert not [one for one in logs if one["log_level"] in ("error", "critical")]


@pytest.mark.parametrize("transport", TLS)
def test_records_and_the_end_of_data_may_be_split_anywhere(tmp_path, transport, loop):
    recorder = ContentRecorder()

    async def scenario(running):
        client = await TransportClient.connect(running, transport)
        await client.send_cut(DATA + b"Subject: x\r\n\r\ntext", octetwise)
        await client.send(b"\r", b"\n", b".", b"\r", b"\n")
        await client.send_cut(b"QUIT\r\n", octetwise)
        assert [reply[:3] for reply in await client.rest()] == [*IN_DATA, "250", "221"]
        await client.close()

    run(scenario, served(tmp_path, transport), [recorder], loop=loop)
    assert [mail.rpartition(b"+0000\r\n")[2] for mail in recorder.mails] == [
        b"Subject: x\r\n\r\ntext\r\n"
    ]
