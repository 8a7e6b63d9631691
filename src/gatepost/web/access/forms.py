"""The fields of a form: application/x-www-form-urlencoded, or multipart/form-data with files.

Trusts nothing: another media type, octets that are no UTF-8 or too many fields give an empty form.
Limits: MOST_FIELDS, and those of `multipart`; `guard` limits the octets.
"""

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl

from starlette.requests import Request

from gatepost.web.access.multipart import MultipartError, Part, parse_multipart

MOST_FIELDS = 300
_MEDIA_TYPE = "application/x-www-form-urlencoded"
_WITH_FILES = "multipart/form-data"


async def read_form(request: Request) -> Mapping[str, str]:
    """Return the fields of the form in a request, the last of several with a name."""
    return dict(await read_fields(request))


async def read_fields(request: Request) -> Sequence[tuple[str, str]]:
    """Return the names and values of the form in a request, in their order."""
    media_type = _media_type(request)
    if media_type == _MEDIA_TYPE:
        return parse_fields(await request.body())
    try:
        return [(one.name, one.text) for one in await _read_parts(request) if not one.is_file]
    except MultipartError:
        return ()


async def read_file(request: Request, name: str) -> bytes:
    """Return the content of a file in the form of a request, b"" without one."""
    parts = await _read_parts(request)
    return next((one.content for one in parts if one.is_file and one.name == name), b"")


def parse_fields(body: bytes) -> Sequence[tuple[str, str]]:
    """Return the fields in the body of a request."""
    try:
        text = body.decode("ascii")
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        return ()


async def _read_parts(request: Request) -> Sequence[Part]:
    """Return the parts, which are read once: a file can be large."""
    if not hasattr(request.state, "parts"):
        request.state.parts = await _parse_parts(request)
    parts: Sequence[Part] = request.state.parts
    return parts


async def _parse_parts(request: Request) -> Sequence[Part]:
    if _media_type(request) != _WITH_FILES:
        return ()
    try:
        return parse_multipart(request.headers["content-type"], await request.body())
    except MultipartError:
        return ()


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
