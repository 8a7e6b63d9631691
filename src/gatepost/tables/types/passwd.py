"""`passwd:PATH`: a file in the format of /etc/passwd. The value of a user is the home folder.

Keys are user names: an address is found whatever its domain is. Other sources of users, such as
LDAP, are not asked.
"""

from gatepost.tables.spec import TableSpec
from gatepost.tables.types.text_file import LocalTable, Row

_FIELDS = 7


class PasswdTable(LocalTable):
    """A file with users."""

    def __init__(self, spec: TableSpec) -> None:
        super().__init__(spec, _parse)


def _parse(text: str) -> Row:
    fields = text.split(":")
    if len(fields) != _FIELDS or not fields[0]:
        raise ValueError(f"{_FIELDS} fields with ':' between them, as in /etc/passwd")
    return fields[0], fields[5]
