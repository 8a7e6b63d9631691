"""`aliases:PATH`: an alias file such as /etc/aliases. The value is the text after the colon.

    postmaster: root
    "a b": ann, "|program -x", :include:/etc/list

Keys are local parts: an address is found whatever its domain is. Programs and included files are
only text here.
"""

import re

from gatepost.tables.spec import TableSpec
from gatepost.tables.types.text_file import LocalTable, Row

_ROW = re.compile(r'("(?:[^"\\]|\\.)+"|[^\s":#,]+)\s*:\s*(\S.*)', re.DOTALL)


class AliasesTable(LocalTable):
    """An alias file."""

    def __init__(self, spec: TableSpec) -> None:
        super().__init__(spec, _parse)


def _parse(text: str) -> Row:
    found = _ROW.fullmatch(text)
    if found is None:
        raise ValueError("a name, a colon and a value")
    return found[1], found[2]
