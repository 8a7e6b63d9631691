"""The files of the ledger: one process writes them, any number read them at the same time.

`data_dir/ledger/` has segments, each a SQLite file of consecutive records. Retention therefore
removes whole files, and a corrupt file costs one segment.
"""

from gatepost.ledger.store.errors import LedgerError as LedgerError
from gatepost.ledger.store.reader import LedgerReader as LedgerReader
from gatepost.ledger.store.writer import LedgerWriter as LedgerWriter
