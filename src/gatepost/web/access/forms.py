"""The fields of a form (application/x-www-form-urlencoded).

Trusts nothing: another media type, octets that are no UTF-8 or too many fields give an empty form.
Limits: MOST_FIELDS; `guard` limits the octets.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from starlette.requests import Request

MOST_FIELDS = 300
_MEDIA_TYPE = "application/x-www-form-urlencoded"


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields of the form in a request, the last of several with a name."""
    return dict(await read_fields(request))


async def read_fields(request: Request) -> Sequence[tuple[str, str]]:
    """Return the names and values of the form in a request, in their order."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _MEDIA_TYPE:
        return ()
    return parse_fields(await request.body())


def parse_fields(body: bytes) -> Sequence[tuple[str, str]]:
    """Return the fields in the body of a request."""
    try:
        text = body.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        return ()
