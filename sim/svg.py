"""Horizontal bars as SVG, for the page. Colours are readable on light and dark backgrounds."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

_ROW, _LABEL, _PLOT, _VALUE, _TOP = 22, 250, 380, 90, 30
_COLOURS = ("#2a7ab8", "#e08a1e", "#7a9a3a")
_STYLE = 'font-family="sans-serif" font-size="13" fill="#808080"'


class Bar(NamedTuple):
    """A row: its label, from where to where each of its parts goes, and the text at its end."""

    label: str
    parts: Sequence[tuple[float, float]]
    text: str


def bars(title: str, rows: Sequence[Bar], low: float, high: float) -> str:
    """Return a chart; `low` and `high` are the ends of the axis."""
    height, width = _TOP + _ROW * len(rows) + 10, _LABEL + _PLOT + _VALUE
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(title)}</title>",
        f'<text x="0" y="18" {_STYLE} font-weight="bold">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        body += _row(row, _TOP + number * _ROW, low, (high - low) or 1.0)
    return "\n".join([*body, "</svg>\n"])


def _row(row: Bar, top: int, low: float, span: float) -> list[str]:
    found = [_text(_LABEL - 8, top, row.label, "end")]
    end = 0.0
    for (start, stop), colour in zip(row.parts, _COLOURS, strict=False):
        left, right = sorted((one - low) / span * _PLOT for one in (start, stop))
        end = max(end, right)
        found.append(
            f'<rect x="{_LABEL + left:.1f}" y="{top + 3}" width="{max(right - left, 1):.1f}"'
            f' height="{_ROW - 7}" fill="{colour}"/>'
        )
    return [*found, _text(_LABEL + end + 6, top, row.text, "start")]


def _text(x: float, top: int, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{top + 16}" text-anchor="{anchor}" {_STYLE}>{escape(text)}</text>'
