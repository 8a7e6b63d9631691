"""The fields of a form (application/x-www-form-urlencoded).

Trusts nothing: another media type, octets that are no UTF-8 or too many fields give an empty form.
Limits: MOST_FIELDS, the last of several with a name; `guard` limits the octets.
"""

from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.requests import Request

MOST_FIELDS = 50
_MEDIA_TYPE = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields of the form in a request."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _MEDIA_TYPE:
        return {}
    return parse_form(await request.body())


def parse_form(body: bytes) -> Mapping[str, str]:
    """Return the fields in the body of a request."""
    try:
        text = body.decode("ascii")
        return dict(
            parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
        )
    except ValueError:
        return {}
