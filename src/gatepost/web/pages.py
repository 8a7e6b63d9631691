"""Templates become pages. Every value is escaped: records have texts of clients.

A control character or one that changes the direction of text is shown as its escape.
"""

from datetime import tzinfo
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from gatepost.ledger.words.wording import counted, duration, moment, number
from gatepost.log.printable import printable
from gatepost.metrics.report import about
from gatepost.web.subjects import dossier
from gatepost.web.table import NUMBERS, Kind, Value, written

# The size of the line of a trend.
_WIDTH, _HEIGHT = 96, 20


def _shown(value: Value, kind: Kind, zone: tzinfo | None) -> str:
    return printable(written(value, kind, zone))


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
