"""`texthash:PATH`: the source of a table of Postfix, such as `virtual` before `postmap`.

    kim@example.com      kim
    "a b"@example.com    ann

A key that contains white space is quoted. The value is the rest of the line.
"""

import re

from gatepost.tables.spec import TableSpec
from gatepost.tables.types.text_file import Row, TextTable

_ROW = re.compile(r'((?:"(?:[^"\\]|\\.)*"|[^\s"])+)\s+(\S.*)', re.DOTALL)


class TexthashTable(TextTable):
    """The source of a table of Postfix."""

    def __init__(self, spec: TableSpec) -> None:
        super().__init__(spec, _parse)


def _parse(text: str) -> Row:
    found = _ROW.fullmatch(text)
    if found is None:
        raise ValueError("a key, white space and a value")
    return found[1], found[2]
