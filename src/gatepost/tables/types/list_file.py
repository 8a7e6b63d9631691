"""`file:PATH`: a list file of this project; the value of a key is the note of its entry.

An address is found by its own entry, that of its domain (`@example.com`) or a regular expression.
"""

from collections.abc import Sequence

from gatepost.lists.addresses import AddressList
from gatepost.lists.file import ListFile
from gatepost.tables.spec import TableSpec
from gatepost.tables.table import Found
from gatepost.tables.types.file_table import FileTable


class ListTable(FileTable[AddressList]):
    """A list file as a table."""

    def __init__(self, spec: TableSpec) -> None:
        super().__init__(spec, ListFile(spec.base / spec.rest, spec.cache_dir))

    def version_find(self, version: AddressList, keys: Sequence[str]) -> Found:
        """See `FileTable`."""
        found = (
            (key, version.exact(key) if key[:1] == "@" else version.find(key, key)) for key in keys
        )
        return {key: entry.note for key, entry in found if entry is not None}
