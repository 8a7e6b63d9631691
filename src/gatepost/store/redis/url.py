"""URLs of Redis servers: `redis://`, `rediss://` with TLS, and `unix://`.

    redis://USER:PASSWORD@HOST:PORT/DATABASE
    rediss://USER:PASSWORD@HOST:PORT/DATABASE?ca=FILE
    unix:///PATH?db=DATABASE&password=PASSWORD

Every part but the host or path may be left out. Special characters are written as `%40` and so on.
"""

from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from gatepost.model.secret import Secret

PORT = 6379
MAX_DATABASE = 10_000
SCHEMES = ("redis", "rediss", "unix")
# The options after the question mark of each scheme.
_OPTIONS = {"redis": (), "rediss": ("ca",), "unix": ("db", "user", "password")}


class RedisUrl(msgspec.Struct, frozen=True):
    """The parts of a URL; `str()` has no password. Either `path` (a socket) or `host` is set."""

    host: str = ""
    port: int = PORT
    path: str = ""
    tls: bool = False
    ca: str = ""
    user: str = ""
    password: Secret = Secret("")
    database: int = 0

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.database}"


def parse_redis_url(text: str) -> RedisUrl:
    """Return the parts of a URL; raises ValueError, which does not quote the URL."""
    if not text.isprintable() or " " in text:
        raise ValueError("expected a URL without blanks and control characters")
    parts = urlsplit(text)
    if parts.fragment:
        raise ValueError("found #: write it as %23")
    options = _options(parts.scheme, parts.query)
    if parts.scheme == "unix":
        return _unix(parts.netloc, parts.path, options)
    if not parts.hostname:
        raise ValueError(f"expected {parts.scheme}://HOST:PORT/DATABASE, found no host")
    return RedisUrl(
        host=unquote(parts.hostname),
        port=_port(parts.netloc),
        tls=parts.scheme == "rediss",
        ca=options.get("ca", ""),
        user=unquote(parts.username or ""),
        password=Secret(unquote(parts.password or "")),
        database=_database(parts.path.removeprefix("/")),
    )


def _unix(host: str, path: str, options: dict[str, str]) -> RedisUrl:
    if host or not path.startswith("/"):
        raise ValueError("expected unix:///PATH with three slashes")
    return RedisUrl(
        path=unquote(path),
        user=options.get("user", ""),
        password=Secret(options.get("password", "")),
        database=_database(options.get("db", "")),
    )


def _options(scheme: str, query: str) -> dict[str, str]:
    allowed = _OPTIONS[scheme]
    found = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := [name for name in found if name not in allowed]:
        expected = f"expected {', '.join(allowed)}" if allowed else "expected none"
        raise ValueError(f"unknown option {unknown[0][:40]!r}, {expected}")
    return found


def _port(netloc: str) -> int:
    text = netloc.rpartition("@")[2].rpartition("]")[2].partition(":")[2]
    if text and not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65536):
        raise ValueError("expected a port from 1 to 65535")
    return int(text or PORT)


def _database(text: str) -> int:
    if text and not (text.isascii() and text.isdigit() and int(text[:6]) <= MAX_DATABASE):
        raise ValueError(f"expected a database number from 0 to {MAX_DATABASE}")
    return int(text or 0)
