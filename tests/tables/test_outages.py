"""Servers of tables that are dead, silent, closing or talking nonsense: always a `TableError`."""

import asyncio

import pytest
from structlog.testing import capture_logs
from tests.tables.remote import serving, table

from gatepost.plugin.virtual_clock import VirtualClock
from gatepost.tables.cached import FAILURES, CachedTable
from gatepost.tables.table import TableError

QUERY = "SELECT a FROM t WHERE a IN :keys"
KEYS = ["ann@example.com", "@example.com"]

SECURED = {"starttls": "ldap", "ldaps": "ldap", "rediss": "redis", "https": "http"}


def made(kind, port, folder):
    """A table of a kind on a port of this machine, which waits for 50 ms."""
    here, soon = f"127.0.0.1:{port}", {"timeout": "50ms"}
    sections = {
        "sql": {"url": f"postgresql+asyncpg://u:hidden@{here}/d?ssl=disable", "query": QUERY},
        "ldap": {"urls": [f"ldap://{here}"], "base": "dc=x", "tls": "none"},
        "starttls": {"urls": [f"ldap://{here}"], "base": "dc=x"},
        "ldaps": {"urls": [f"ldaps://{here}"], "base": "dc=x"},
        "redis": {"url": f"redis://u:hidden@{here}"},
        "rediss": {"url": f"rediss://u:hidden@{here}"},
        "http": {"url": f"http://u:hidden@{here}/{{key}}"},
        "https": {"url": f"https://u:hidden@{here}/{{key}}"},
    }
    if kind in sections:
        type_ = SECURED.get(kind, kind)
        return table(f"{type_}:x", folder, **{type_: {"x": {**sections[kind], **soon}}})
    specs = {
        "socketmap": f"socketmap:inet:{here}:users",
        "tcp": f"tcp:{here}",
        "dovecot": f"dovecot:unix:{folder}/relay",
    }
    one = table(specs[kind], folder)
    one.timeout = 0.05
    return one


KINDS = (
    *("sql", "ldap", "starttls", "ldaps", "redis", "rediss", "http", "https"),
    *("socketmap", "tcp", "dovecot"),
)


async def silent(reader, _writer):
    while await reader.read(65536):
        pass


async def closing(reader, _writer):
    await reader.read(1)


async def closing_at_once(_reader, writer):
    writer.transport.abort()


def sending(octets):
    """A server that sends these octets again and again, and reads nothing."""

    async def endless(_reader, writer):
        while True:
            writer.write(octets)
            await writer.drain()

    return endless


def replying(octets):
    """A server that replies to everything with these octets."""

    async def reply(reader, writer):
        while await reader.read(65536):
            writer.write(octets)

    return reply


TROUBLES = {
    "silent": silent,
    "closing": closing,
    "closing at once": closing_at_once,
    "endless text": sending(b"x" * 4096),
    "endless lines": sending(b"220 mail.example.com ESMTP\r\n" * 100),
    "endless zeros": sending(b"\0" * 4096),
    "endless ones": sending(b"\xff" * 4096),
    "a web server": replying(b"HTTP/9.9 abc\r\n\r\n"),
    "a long length": replying(b"0\x84\x7f\xff\xff\xff\x02\x01\x01"),
    "a huge number": replying(b"$99999999999999999999\r\n"),
    "a mail server": replying(b"500 5.5.1 Command unrecognized\r\n"),
}
# Why a trouble does not apply to a protocol.
EXCEPTIONS = {
    ("tcp", "a mail server"): "500 is a valid answer of the protocol",
    ("sql", "endless zeros"): "asyncpg 0.32 does not return from zeros",
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_in_trouble_is_an_error_and_one_line_in_the_log(tmp_path, caplog, kind, trouble):
    if (kind, trouble) in EXCEPTIONS:
        pytest.skip(EXCEPTIONS[kind, trouble])

    async def run():
        path = tmp_path / "relay" if kind == "dovecot" else None
        async with serving(TROUBLES[trouble], path) as port:
            await fail(made(kind, port, tmp_path))

    with capture_logs() as logs:
        asyncio.run(run())
    assert [line["event"] for line in logs] == ["table unavailable"]
    assert "hidden" not in str(logs)
    assert caplog.records == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_not_there_is_an_error_and_one_line_in_the_log(tmp_path, caplog, kind):
    with capture_logs() as logs:
        asyncio.run(fail(made(kind, 1, tmp_path)))
    assert [line["event"] for line in logs] == ["table unavailable"]
    assert "hidden" not in str(logs)
    assert caplog.records == []


async def fail(one):
    cached = CachedTable(one, VirtualClock(), 60.0)
    try:
        for _ in range(FAILURES + 3):
            with pytest.raises(TableError) as found:
                await cached.ask(KEYS)
            assert "hidden" not in str(found.value)
    finally:
        await cached.stop()
        await asyncio.sleep(0)
