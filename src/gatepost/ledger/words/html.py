"""A report as an HTML document, to be sent by mail.

Mail programs remove style sheets, so every element has its style. Colours are those of the reader's
program, light or dark.

Security: each value is escaped, and made printable before. The document is ASCII: other characters
are references, so that no transport changes them. A line has fewer than 998 octets (RFC 5322
section 2.1.1), as cells are short and have a line each.
"""

from collections.abc import Iterator
from datetime import tzinfo
from html import escape

from gatepost.ledger.words.fitting import cut
from gatepost.ledger.words.sections import Column, Report, Section, cells, title

MAX_CELL = 80

_BODY = "font-family:sans-serif;font-size:14px;max-width:48em;margin:1em auto"
_TABLE = "border-collapse:collapse;width:100%"
_CELL = "padding:2px 8px;border-bottom:1px solid #999;vertical-align:top"
_LEFT = f"{_CELL};text-align:left;word-break:break-all"
_RIGHT = f"{_CELL};text-align:right;white-space:nowrap"
_BAR = f"{_CELL};text-align:left;font-family:monospace;color:#888"
_STYLES = {"text": _LEFT, "bar": _BAR}


def as_html(found: Report, zone: tzinfo | None = None) -> Iterator[str]:
    """Yield the lines of the document."""
    name = _safe(title(found, zone))
    yield "<!DOCTYPE html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield '<meta name="color-scheme" content="light dark">'
    yield f"<title>{name}</title>"
    yield "</head>"
    yield f'<body style="{_BODY}">'
    yield f'<h1 style="font-size:18px">{name}</h1>'
    for section in found.sections:
        yield from _section(section)
    yield "</body>"
    yield "</html>"


def _section(section: Section) -> Iterator[str]:
    yield f'<h2 style="font-size:16px">{_safe(section.title)}</h2>'
    yield f'<table style="{_TABLE}">'
    if any(column.title for column in section.columns):
        yield from _row("th", section, [column.title for column in section.columns])
    for row in cells(section):
        yield from _row("td", section, row)
    yield "</table>"
    if section.note:
        yield f"<p>{_safe(section.note)}</p>"


def _row(tag: str, section: Section, row: list[str]) -> Iterator[str]:
    yield "<tr>"
    for column, cell in zip(section.columns, row, strict=True):
        yield f'<{tag} style="{_style(column)}">{_safe(cell)}</{tag}>'
    yield "</tr>"


def _style(column: Column) -> str:
    return _STYLES.get(column.kind, _RIGHT)


def _safe(text: str) -> str:
    return escape(cut(text, MAX_CELL)).encode("ascii", "xmlcharrefreplace").decode()
