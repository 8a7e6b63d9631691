"""The files of the ledger: one process writes them, any number read them at the same time.

`data_dir/ledger/` has segments, each a SQLite file of consecutive records. Retention therefore
removes whole files, and a corrupt file costs one segment.

The writer is imported when it is used: commands only read, and its log takes most of their start.
"""

from typing import TYPE_CHECKING, Any

from gatepost.ledger.store.errors import LedgerError as LedgerError
from gatepost.ledger.store.reader import LedgerReader as LedgerReader

if TYPE_CHECKING:
    from gatepost.ledger.store.writer import LedgerWriter as LedgerWriter


def __getattr__(name: str) -> Any:
    if name != "LedgerWriter":
        raise AttributeError(name)
    from gatepost.ledger.store.writer import LedgerWriter  # noqa: PLC0415 - see above

    return LedgerWriter
