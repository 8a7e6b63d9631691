"""Records and reports as JSON that is safe on a terminal.

Security: JSON may contain control characters from U+007F on, line separators and bidirectional
controls as they are. Text with any of them is written in ASCII.
"""

import json
from typing import Any

import msgspec

from gatepost.ledger.records import Record, to_json

INDENT = 2


def json_line(record: Record) -> str:
    """Return a record as one line of JSON."""
    return _safe(to_json(record))


def value_line(value: Any) -> str:
    """Return plain values as one line of JSON."""
    return _safe(msgspec.json.encode(value))


def json_text(value: Any) -> str:
    """Return plain values as JSON of several lines."""
    return msgspec.json.format(value_line(value), indent=INDENT)


def _safe(encoded: bytes) -> str:
    line = encoded.decode()
    return line if line.isprintable() else json.dumps(json.loads(line)).replace("\x7f", "\\u007f")
