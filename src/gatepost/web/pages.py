"""Templates become pages. Every value is escaped: records have texts of clients.

A control character or one that changes the direction of text is shown as its escape.
"""

import re
from datetime import tzinfo
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from gatepost.ledger.words.wording import counted, duration, moment, number
from gatepost.log.printable import printable
from gatepost.metrics.report import about
from gatepost.web.subjects import dossier
from gatepost.web.table import NUMBERS, TIMES, Kind, Value, written

# The size of the line of a trend.
_WIDTH, _HEIGHT = 96, 20
# A word in a table can be broken after "@", ":" and "/". A part of more than LONG characters can be
# broken after other punctuation, and after LONGEST characters without it.
LONG, LONGEST = 18, 24
_PARTS = re.compile(r"(?<=[@:/])(?=[^\s@:/])")
_PLACES = re.compile(rf"\S{{5,{LONG - 1}}}[._=+-](?=\S{{4}})|[^\s._=+-]{{{LONGEST}}}(?=\S)")
_CODE = re.compile("`([^`]+)`")
_BREAK = Markup("<wbr>")
_NO_BREAK = "\N{NO-BREAK SPACE}"


def _shown(value: Value, kind: Kind, zone: tzinfo | None) -> str:
    text = printable(written(value, kind, zone))
    if kind in TIMES:
        day, _, hour = text.rpartition(" ")
        return f"{day.replace(' ', _NO_BREAK)} {hour}".lstrip()
    return text


def breakable(text: str) -> Markup:
    """Return a text of a table with the places where a line may end inside of a word."""
    return _BREAK.join(escape(part) for one in _PARTS.split(text) for part in _short(one))


def coded(text: str) -> Markup:
    """Return a text in which what is between backticks is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - it is escaped


def _short(text: str) -> list[str]:
    """Return the parts of a text; a word in it that is long has several."""
    if max(map(len, text.split()), default=0) <= LONG:
        return [text]
    ends = [found.end() for found in _PLACES.finditer(text)]
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


def points(values: str) -> str:
    """Return the points of the line of a trend: numbers separated by blanks."""
    numbers = [float(one) for one in values.split()]
    most = max(numbers, default=0.0) or 1.0
    step = _WIDTH / max(len(numbers) - 1, 1)
    return " ".join(
        f"{at * step:.1f},{_HEIGHT - 1 - one * (_HEIGHT - 2) / most:.1f}"
        for at, one in enumerate(numbers)
    )


_ENVIRONMENT = Environment(
    loader=PackageLoader("gatepost.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {
    "shown": _shown,
    "breakable": breakable,
    "coded": coded,
    "points": points,
    "printable": printable,
    "number": number,
    "counted": counted,
    "duration": duration,
    "about": about,
    "moment": moment,
    "dossier": dossier,
}
_ENVIRONMENT.globals |= {"numbers": NUMBERS}


def page(template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return the page of a template."""
    return HTMLResponse(fragment(template, **values), status)


def fragment(template: str, **values: Any) -> str:
    """Return the text of a template, such as a part of a page."""
    return _ENVIRONMENT.get_template(template).render(values)
