"""Open what a configuration's records go to: the store, the export."""

from gatepost.config.schema import Config
from gatepost.disk.durable import ensure_private
from gatepost.ledger.export import Export
from gatepost.ledger.keeper import Keeper, NoStore, Sink, Store
from gatepost.ledger.records import Record
from gatepost.ledger.store import LedgerWriter


def open_keeper(config: Config) -> Keeper:
    """Return the keeper. Raises `LedgerError` or OSError if the ledger cannot be used."""
    ledger = config.ledger
    store: Store = NoStore()
    if ledger.enabled:
        folder = ensure_private(config.data_dir / "ledger")
        store = LedgerWriter(folder, ledger.keep, ledger.size)
    return Keeper(store, list(_sinks(config)))


def _sinks(config: Config) -> list[Sink]:
    target = config.ledger.export
    if not target:
        return []
    scheme, _, path = target.partition(":")
    export = Export(f"{scheme}:{config.path(path)}")

    def send(record: Record, _data: bytes) -> None:
        export.send([record])

    return [send]
