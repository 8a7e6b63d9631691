"""`http:NAME`: a table on a web server, as `[http.NAME]` describes.

With `get`, each key is a request: 200 is found, 404 is not found. With `post`, one request has all
keys as `{"keys": [...]}`, and a JSON object has the values of those that are found. Everything else
is an error: another status, a redirect, a body that is too long or malformed.

Keys are percent-encoded in the address, `/` too, so that a key is one part of the path. The keys
"." and ".." are not found, because servers take them for folders.

Trust: the server at the address, with its certificate. Limits: MOST_BODY octets of an answer,
MOST_REQUESTS requests at the same time.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
import msgspec
from yarl import URL

from gatepost.config.secret_file import read_secret
from gatepost.config.tables import HttpConfig
from gatepost.net.client_tls import ClientTls
from gatepost.tables.key_template import KeyTemplate
from gatepost.tables.remote import RemoteTable
from gatepost.tables.spec import TableSpec
from gatepost.tables.table import Found

MOST_BODY: Final = 1 << 20
MOST_REQUESTS: Final = 10
Object = TypeVar("Object")

_OK, _NOT_FOUND = 200, 404
_FOLDERS = (".", "..")


class HttpTable(RemoteTable):
    """A table on a web server."""

    failures = (OSError, ValueError, aiohttp.ClientError)

    def __init__(self, spec: TableSpec) -> None:
        options: HttpConfig = spec.options
        super().__init__(spec.name, options.timeout)
        self._url = _checked(options)
        self._template = KeyTemplate(options.url) if options.method == "get" else None
        self._member = options.value
        self._tls = ClientTls("verified", spec.base / options.ca if options.ca else None)
        self._headers = _headers(options, spec.base)
        self._client: aiohttp.ClientSession | None = None

    async def _look_up(self, keys: Sequence[str]) -> Found:
        if self._template is None:
            return await self._post(keys)
        found = await asyncio.gather(*map(self._get, keys), return_exceptions=True)
        values: dict[str, str] = {}
        for key, one in zip(keys, found, strict=True):
            if isinstance(one, BaseException):
                raise one
            if one is not None:
                values[key] = one
        return values

    async def _get(self, key: str) -> str | None:
        assert self._template is not None
        url = self._template.fill(key, _quote)
        if url is None or key in _FOLDERS:
            return None
        async with self._session().get(URL(url, encoded=True), allow_redirects=False) as response:
            if response.status == _NOT_FOUND:
                return None
            return self._value(await _read(response))

    def _value(self, body: bytes) -> str:
        if not self._member:
            return ""
        value = _decode(body, dict[str, Any]).get(self._member)
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise ValueError(  # noqa: TRY004 - as for other answers that are wrong
                f"expected a JSON object with a text as {self._member!r}"
            )
        return str(value)

    async def _post(self, keys: Sequence[str]) -> Found:
        data = msgspec.json.encode({"keys": keys})
        session, headers = self._session(), {"Content-Type": "application/json"}
        async with session.post(
            URL(self._url), data=data, headers=headers, allow_redirects=False
        ) as response:
            values = _decode(await _read(response), dict[str, str])
        return {key: values[key] for key in keys if key in values}

    def _session(self) -> aiohttp.ClientSession:
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=MOST_REQUESTS, ssl=self._tls.context),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),  # the caller limits the time
                auto_decompress=False,
                headers=self._headers,
            )
        return self._client

    async def stop(self) -> None:
        """See `Table.stop`."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


def _quote(value: str) -> str:
    return quote(value, safe="@")


def _decode(body: bytes, kind: type[Object]) -> Object:
    """Return a body as JSON; raises ValueError."""
    try:
        return msgspec.json.decode(body, type=kind)
    except RecursionError:
        raise ValueError("the body is nested too deeply") from None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Return the body of a response; raises ValueError for another status and a long one."""
    if response.status != _OK:
        raise ValueError(f"the server replied with the status {response.status}")
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > MOST_BODY:
            raise ValueError(f"expected at most {MOST_BODY} octets")
    return bytes(body)


def _checked(options: HttpConfig) -> str:
    """Return the address; raises ValueError, which does not quote it."""
    parts = urlsplit(options.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("url: expected http://HOST/… or https://HOST/…")
    if "{" in parts.netloc:
        raise ValueError("url: expected placeholders only after the host")
    if options.method == "post" and ("{" in options.url or options.value):
        raise ValueError("with post, expected neither placeholders in url nor value")
    return options.url


def _headers(options: HttpConfig, base: Path) -> Mapping[str, str]:
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    if options.token_file:
        token = read_secret(base / options.token_file, "token")
        headers["Authorization"] = f"Bearer {token}"
    return headers
