"""`qmail:PATH`: the file `users/assign` of qmail. The value of a key is the home folder.

    =kim:kim:1001:1001:/home/kim:::
    +list-:lists:1002:1002:/home/lists:-::
    .

`=` is one local part, `+` the beginning of local parts; the longest beginning counts. The line with
a full stop, the end of the file, is ignored. Keys are local parts: an address is found whatever its
domain is.
"""

from gatepost.tables.spec import TableSpec
from gatepost.tables.types.text_file import LocalTable, Row, Rows

_FIELDS = 8


class QmailTable(LocalTable):
    """The users of qmail; the key of a row has the sign of its line."""

    def __init__(self, spec: TableSpec) -> None:
        super().__init__(spec, _parse)

    def local_find(self, version: Rows, local: str) -> str | None:
        """See `LocalTable`."""
        if not local:
            return None
        exact = version.values.get(f"={local}")
        if exact is not None:
            return exact
        beginnings = (f"+{local[:end]}" for end in range(len(local), -1, -1))
        return next((version.values[one] for one in beginnings if one in version.values), None)


def _parse(text: str) -> Row | None:
    if text == ".":
        return None
    fields = text.split(":")
    if len(fields) != _FIELDS or fields[0][:1] not in ("=", "+"):
        raise ValueError(f"= or +, and {_FIELDS} fields with ':' between them, as in users/assign")
    return fields[0], fields[4]
