"""The strings of the configuration with a syntax of their own: names, addresses, replies.

Each constant is a `ValueKind`. Its function raises ValueError for a wrong value. Nothing here uses
the disk or the network: the reader of a file reports that it is missing.
"""

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from gatepost.config.kinds import ScalarKind, string
from gatepost.config.listen import (
    EXPECTED_LISTEN_ADDRESS,
    InetAddress,
    InheritedSocket,
    ListenAddress,
    UnixAddress,
    parse_listen_address,
)
from gatepost.model.address import Address, check_literal, parse_domain
from gatepost.model.reply import Reply
from gatepost.model.secret import Secret

FILE_PREFIX = "file:"
EVERY_DOMAIN = "*"

_DOTTED_QUAD = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_ASCII_LINES = re.compile(r"[ -~\n]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TIME_OF_DAY = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
_FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}|")
_SEPARATORS = re.compile(r"(?:([!#$%&'*+/=?^_`{|}~.-])(?!.*\1))*")
# Maildir++: parts of printable ASCII (IMAP's modified UTF-7), each after a full stop.
_MAILDIR_FOLDER = re.compile(r"(?=.{0,200}\Z)(?:\.[ -\-0-~]+)*")
# The scheme of a target; `gatepost.delivery.registry` has the schemes, and each its own grammar.
_TARGET = re.compile(r"[a-z][a-z0-9+.-]*:.*")
# `gatepost.tables.registry` has the types. An address has no colon before the first quote.
_TABLE = re.compile(r"[a-z][a-z0-9]*:.+")
# `gatepost.store.opening` has the whole grammar.
_STORE_URL = re.compile(r"local|memory|(?:redis|rediss|unix)://[!-~]+")
# Each type of table has the whole grammar of its URLs.
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[!-~]+")
_LDAP_URL = re.compile(r"ldaps?://(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]+)(?::[1-9][0-9]{0,4})?/?")
_STORE_PREFIX = re.compile(r"[!-~]{0,64}")
_WEBHOOK_URL = re.compile(r"https?://[!-~]{1,2000}")
_EXPORT = re.compile(r"(?:jsonl|unix):(?=\S).*|")


def _printable(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise ValueError
    return value


def _lines(value: str) -> str:
    """Return printable text of one or several lines."""
    _printable(" ".join(value.split()))
    return value


def _webhook_url(value: str) -> str:
    parts = urlsplit(_matching(_WEBHOOK_URL, value))
    if parts.username is not None or not parts.hostname or parts.fragment:
        raise ValueError
    _ = parts.port  # raises ValueError for one that is no number
    return Secret(value)


def _path(value: str) -> str:
    if value.startswith(FILE_PREFIX):
        raise ValueError
    return _printable(value)


def _hostname(value: str) -> str:
    if value.startswith("[") and value.endswith("]"):
        check_literal(value)
        return value
    if "_" in value:
        raise ValueError  # other servers refuse such a name in EHLO
    if _DOTTED_QUAD.fullmatch(value):
        raise ValueError  # an address is written as a literal, in brackets
    return parse_domain(value)


def _is_file(value: str) -> bool:
    return value.startswith(FILE_PREFIX) and bool(_path(value.removeprefix(FILE_PREFIX)))


def _domain_or_file(value: str) -> str:
    if value == EVERY_DOMAIN:
        return value
    if value.startswith("."):
        parse_domain(value[1:])
    elif value.startswith("[") and value.endswith("]"):
        check_literal(value)
    elif not _is_file(value):
        parse_domain(value)
    return value


def _mailbox(value: str) -> str:
    if not Address.parse(value).domain:
        raise ValueError
    return value


def _address(value: str) -> None:
    if value.startswith("@"):
        parse_domain(value[1:])
    else:
        _one_address(value)


def _one_address(value: str) -> None:
    if "*" in Address.parse(value).local:
        raise ValueError  # a wildcard of another server, which would match no recipient


def is_table(value: str) -> bool:
    """Return whether an item of a list names a table, such as `sql:users`, and not a list file."""
    return not value.startswith(FILE_PREFIX) and _TABLE.fullmatch(value) is not None


def _known(value: str) -> str:
    if not (_is_file(value) or (is_table(value) and _printable(value))):
        _address(value)
    return value


def _pattern(value: str) -> str:
    if "@" in value:
        _one_address(value)
    elif value != "*":
        parse_domain(value)
    return value


def _target(value: str) -> str:
    if not value.isprintable():
        raise ValueError
    return _matching(_TARGET, value)


def _certificate_name(value: str) -> str:
    if value == "*":
        return value
    if value.startswith("*."):
        return f"*.{parse_domain(value[2:])}"
    return parse_domain(value)


def _name_server(value: str) -> str:
    """Return an IP address with port: `192.0.2.1:53`, `[2001:db8::1]:53`."""
    try:
        return str(InetAddress(str(ip_address(value)), 53))
    except ValueError:
        address = parse_listen_address(value)
    if not isinstance(address, InetAddress) or address.port == 0:
        raise ValueError
    return str(address)


def _network(value: object) -> IPv4Network | IPv6Network:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    return ip_network(value if isinstance(value, str) else "")


def _matching(pattern: re.Pattern[str], value: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError
    return value


def _listen_address(value: object) -> ListenAddress:
    if isinstance(value, InetAddress | UnixAddress | InheritedSocket):
        return value
    return parse_listen_address(value if isinstance(value, str) else "")


def _trusted(value: str) -> str:
    try:
        return str(_network(value))
    except ValueError:
        return _domain_or_file(value)


def _refusal(value: object) -> Reply:
    reply = value if isinstance(value, Reply) else _written_reply(value)
    if reply.code < 400:
        raise ValueError
    return reply


def _written_reply(value: object) -> Reply:
    if not isinstance(value, str) or not _ASCII_LINES.fullmatch(value):
        raise ValueError
    return Reply.parse(value)


def _folder(value: object) -> str:
    if not isinstance(value, str | Path):
        raise ValueError  # noqa: TRY004 - converters raise only ValueError
    return _path(str(value))


def _inet_listen(value: str) -> str:
    if value and not isinstance(parse_listen_address(value), InetAddress):
        raise ValueError
    return value


def _web_listen(value: str) -> str:
    if value and isinstance(parse_listen_address(value), InheritedSocket):
        raise ValueError
    return value


def _field_name(value: str) -> str:
    return _matching(_FIELD_NAME, value)


HOSTNAME = string(
    'a domain name such as "mx.example.com" or an address literal such as "[192.0.2.1]"', _hostname
)
FOLDER = ScalarKind('a folder such as "var"', _folder)
PATH = string('a file name without the prefix "file:"', _path)
PATH_OR_NONE = string(
    'a file name without the prefix "file:", or ""', lambda value: value and _path(value)
)
NAME_OR_NONE = string('a domain name, or ""', lambda value: value and parse_domain(value))
HOSTNAME_OR_NONE = string(
    'a domain name, an address literal, or ""', lambda value: value and _hostname(value)
)
TABLE_NAME = string(
    "a name of letters, digits, '_', '-' and '.'", lambda value: _matching(_NAME, value)
)
TABLE_URL = string(
    'a URL such as "SCHEME://HOST:PORT/NAME"', lambda value: Secret(_matching(_URL, value))
)
LDAP_URL = string(
    '"ldap://HOST", "ldaps://HOST", or with ":PORT"', lambda value: _matching(_LDAP_URL, value)
)
SQL = string("an SQL query", _lines)
ADDRESS_OR_NONE = string(
    'an address such as "postmaster@example.com", or ""',
    lambda value: value and _mailbox(value),
)
TIME_OF_DAY = string('a time of day such as "07:00"', lambda value: _matching(_TIME_OF_DAY, value))
TEXT = string('printable text, or ""', lambda value: value and _printable(value))
STORE_URL = string(
    '"local", "memory", or a URL such as "redis://HOST:PORT/DATABASE"',
    lambda value: Secret(_matching(_STORE_URL, value)),
)
STORE_PREFIX = string(
    'up to 64 printable ASCII characters without blanks, or ""',
    lambda value: _matching(_STORE_PREFIX, value),
)
EXPORT = string(
    '"jsonl:PATH", "unix:PATH" or ""', lambda value: _matching(_EXPORT, value and _printable(value))
)
WEBHOOK_URL = string(
    'a URL such as "https://hooks.example.com/mail", without a user name', _webhook_url
)
METRICS_LISTEN = string('an IP address with a port such as "127.0.0.1:9925", or ""', _inet_listen)
WEB_LISTEN = string(
    'an IP address with a port such as "127.0.0.1:8025", "unix:PATH", or ""', _web_listen
)
FIELD_NAME_OR_NONE = string(
    'the name of a header field such as "Remote-User", or ""',
    lambda value: value and _field_name(value),
)
NAME_OF_OURS = string(
    "a name of letters, digits, '_', '-' and '.'", lambda value: value and _matching(_NAME, value)
)
USER = string('a system user name, or ""', lambda value: _matching(_USER, value))
LISTEN_ADDRESS = ScalarKind(EXPECTED_LISTEN_ADDRESS, _listen_address)
NETWORK = ScalarKind('a network such as "192.0.2.0/24" or "2001:db8::/32"', _network)
NAME_SERVER = string(
    'the IP address of a name server such as "192.0.2.1" or "127.0.0.1:5353"', _name_server
)
CERTIFICATE_NAME = string('a domain name, "*.example.com" or "*"', _certificate_name)
DOMAIN_OR_FILE = string(
    'a domain such as "example.com", ".example.com" for its subdomains, or "file:NAME"',
    _domain_or_file,
)
TRUSTED = string(
    'a network such as "192.0.2.0/24", a domain such as "example.org", or "file:NAME"', _trusted
)
KNOWN = string(
    'an address such as "user@example.com", "@example.com" for a whole domain, "file:NAME", or a'
    ' table such as "lmdb:NAME"',
    _known,
)
SEPARATORS = string(
    'separator characters such as "+" or "+-", or "" for none',
    lambda value: _matching(_SEPARATORS, value),
)
REFUSAL = ScalarKind('a 4xx or 5xx reply in ASCII such as "554 5.7.1 Text"', _refusal)
ROUTE_PATTERN = string('"*", a domain or an address', _pattern)
TARGET = string('a target such as "maildir:PATH" or "smtp://HOST:PORT"', _target)
MAILDIR_FOLDER = string(
    'a folder of a Maildir such as ".Junk" or ".Lists.python", or ""',
    lambda value: _matching(_MAILDIR_FOLDER, value),
)
PLUGIN = string('a plugin name or a path such as "plugins/mine.py"', _printable)
