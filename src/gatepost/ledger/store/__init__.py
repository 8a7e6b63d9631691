"""The files of the ledger: one process writes them, any number read them at the same time.

`data_dir/ledger/` has segments, each a SQLite file of consecutive records. Retention therefore
removes whole files, and a corrupt file costs one segment.

Reader and writer are imported when they are used: commands only read, and workers do neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from gatepost.ledger.store.errors import LedgerError as LedgerError
from gatepost.ledger.store.errors import QueryTimeoutError as QueryTimeoutError

if TYPE_CHECKING:
    from gatepost.ledger.store.reader import LedgerReader as LedgerReader
    from gatepost.ledger.store.writer import LedgerWriter as LedgerWriter

_MODULES = {"LedgerReader": "reader", "LedgerWriter": "writer"}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
