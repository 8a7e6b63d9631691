"""The ledger of an embedded server."""

import asyncio

import pytest
from tests.session.dialogue import config

from gatepost import Server
from gatepost.config.listen import InetAddress
from gatepost.config.schema import LedgerConfig, ListenConfig, ServerConfig
from gatepost.ledger import export
from gatepost.ledger.link import Batch, encode_batch
from gatepost.ledger.records import Connection, Notice, encode
from gatepost.ledger.selection import Selection
from gatepost.ledger.store import LedgerReader, LedgerWriter
from gatepost.metrics.counting import Counting
from gatepost.server.ledger_opening import open_keeper
from gatepost.session.assemble import SetupError


def embedded(folder, *, counts=False, **options):
    made = config(
        server=ServerConfig(data_dir=str(folder)),
        listen=[ListenConfig(address=InetAddress("127.0.0.1", 0))],
        **options,
    )
    return Server(made, ledger=True, counts=counts)


async def connect_once(server):
    async with server:
        host, _, port = server.addresses[0][1].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        await reader.readline()
        writer.write(b"QUIT\r\n")
        assert (await reader.read())[:3] == b"221"
        writer.close()
        await writer.wait_closed()


def test_records_are_written_by_a_thread(tmp_path):
    asyncio.run(connect_once(embedded(tmp_path)))
    reader = LedgerReader(tmp_path / "ledger")
    [found] = reader.select(Selection())
    reader.close()
    assert type(found) is Connection
    assert found.end == "quit"


def test_a_ledger_that_another_process_writes_is_an_error_at_start(tmp_path):
    writer = LedgerWriter(tmp_path / "ledger", 3600.0, 1 << 30)
    with pytest.raises(SetupError, match="ledger"):
        asyncio.run(connect_once(embedded(tmp_path)))
    writer.close()


def test_a_ledger_that_is_switched_off_writes_nothing(tmp_path):
    asyncio.run(connect_once(embedded(tmp_path, ledger=LedgerConfig(enabled=False))))
    assert not list(tmp_path.glob("ledger/*.sqlite"))


def test_an_embedded_server_counts_its_own_records(tmp_path):
    server = embedded(tmp_path, counts=True)

    async def main():
        await connect_once(server)
        return (await server.exposition())[0].decode()

    assert 'gatepost_connections_total{end="quit",listener=""} 1.0' in asyncio.run(main())


def test_lines_of_the_export_that_wait_are_sent_without_another_record(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "RETRY", 0.0)
    late = tmp_path / "late"
    made = config(
        server=ServerConfig(data_dir=str(tmp_path)),
        ledger=LedgerConfig(export=f"jsonl:{late}/records.json"),
    )
    keeper = open_keeper(made, Counting(), counts=False)
    keeper.take(encode_batch(Batch("a", 0, 0, [encode(Notice(0.0, "waits"))])))
    late.mkdir()
    keeper._every()
    assert "waits" in (late / "records.json").read_text()
    keeper.commit()
    keeper._store.close()
