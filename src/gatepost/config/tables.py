"""`[sql.NAME]`, `[ldap.NAME]`, `[redis.NAME]`, `[http.NAME]`: tables on other servers.

Part of `gatepost.config.schema`. Names of files are relative to the folder of the configuration.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec

from gatepost.config import formats
from gatepost.config.kinds import ArrayKind, Key, MappingKind, TableKind, choice, duration
from gatepost.config.units import parse_duration
from gatepost.model.secret import Secret

Timeout = Annotated[
    float,
    Key(
        duration("50ms", "1m"),
        "How long a query may take. After that it has failed.",
        "A healthy server answers within milliseconds, and the client waits meanwhile.",
    ),
]
PasswordFile = Annotated[
    str,
    Key(formats.PATH_OR_NONE, "The file with the password in its first line. Empty: none."),
]
Ca = Annotated[
    str,
    Key(
        formats.PATH_OR_NONE,
        "The PEM file with the CAs that the server's certificate may come from. Empty: the CAs of"
        " the system.",
    ),
]
_TIMEOUT = parse_duration("5s")


class SqlConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sql.NAME]`: the table `sql:NAME`."""

    url: Annotated[
        Secret,
        Key(
            formats.TABLE_URL,
            "The database as a URL of SQLAlchemy with a driver for asyncio, such as"
            " postgresql+asyncpg://USER@HOST/DATABASE or sqlite+aiosqlite:///PATH. An SQLite file"
            " is opened for reading.",
        ),
    ]
    query: Annotated[
        str,
        Key(
            formats.SQL,
            "The query for several keys. It has IN :keys, and returns the key and the value in its"
            " first two columns. Without a second column, values are empty.",
        ),
    ]
    password_file: PasswordFile = ""
    timeout: Timeout = _TIMEOUT


class LdapConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[ldap.NAME]`: the table `ldap:NAME`."""

    urls: Annotated[
        Sequence[str],
        Key(
            ArrayKind(formats.LDAP_URL),
            "The servers, such as ldap://HOST:389 or ldaps://HOST:636. The next one is used if one"
            " cannot be reached.",
        ),
    ]
    base: Annotated[
        str, Key(formats.TEXT, "The entry below which to search, such as dc=example,dc=com.")
    ]
    filter: Annotated[
        str,
        Key(
            formats.TEXT,
            "The filter of a key. It has {key}, {user} or {domain}, which are escaped. A key"
            " without a value for one of them is not found.",
        ),
    ] = "(mail={key})"
    key_attribute: Annotated[
        str,
        Key(
            formats.TEXT,
            "The attribute that contains the key. With it, one search has several keys. Empty: one"
            " search for each key.",
        ),
    ] = "mail"
    value_attribute: Annotated[
        str,
        Key(
            formats.TEXT,
            "The attribute with the value. Several values are joined with commas. Empty: values are"
            " empty.",
        ),
    ] = ""
    scope: Annotated[
        Literal["base", "one", "sub"],
        Key(
            choice("base", "one", "sub"),
            "The entries to search: base itself, those directly below it, or all below it.",
        ),
    ] = "sub"
    bind_dn: Annotated[
        str, Key(formats.TEXT, "The entry to authenticate as. Empty: anonymous.")
    ] = ""
    password_file: PasswordFile = ""
    tls: Annotated[
        Literal["none", "starttls"],
        Key(
            choice("none", "starttls"),
            "starttls: TLS on ldap:// connections, with a valid certificate for the host. none: no"
            " TLS. An ldaps:// connection always has TLS.",
            "Anyone on the network path could read the password and change answers.",
        ),
    ] = "starttls"
    ca: Ca = ""
    timeout: Timeout = _TIMEOUT


class RedisConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[redis.NAME]`: the table `redis:NAME`."""

    url: Annotated[
        Secret,
        Key(
            formats.TABLE_URL,
            "The server, such as redis://HOST:6379/0, rediss://HOST with TLS, or unix:///PATH.",
        ),
    ]
    key: Annotated[
        str,
        Key(
            formats.TEXT,
            "The name of a key in Redis, the field of the hash, or the member of the set. It has"
            " {key}, {user} or {domain}.",
        ),
    ] = "{key}"
    hash: Annotated[
        str, Key(formats.TEXT, "The hash with the keys as fields. Empty: keys of their own.")
    ] = ""
    set: Annotated[
        str, Key(formats.TEXT, "The set with the keys as members; values are empty. Empty: none.")
    ] = ""
    password_file: PasswordFile = ""
    timeout: Timeout = _TIMEOUT


class HttpConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[http.NAME]`: the table `http:NAME`."""

    url: Annotated[
        Secret,
        Key(
            formats.TABLE_URL,
            "With get, the address of a key, such as https://HOST/users/{key}, with {key}, {user}"
            " or {domain}. With post, the address for all keys.",
        ),
    ]
    method: Annotated[
        Literal["get", "post"],
        Key(
            choice("get", "post"),
            "get: one request for each key; the status 200 is found, 404 is not found. post: one"
            ' request for several keys with {"keys": [...]}, answered by a JSON object of those'
            " found and their values.",
        ),
    ] = "get"
    value: Annotated[
        str,
        Key(
            formats.TEXT,
            "With get, the member of the JSON object that is the value. Empty: values are empty.",
        ),
    ] = ""
    token_file: Annotated[
        str,
        Key(
            formats.PATH_OR_NONE,
            "The file with a token in its first line, which is sent as a bearer token. Empty:"
            " none.",
        ),
    ] = ""
    ca: Ca = ""
    timeout: Timeout = _TIMEOUT


def named(struct: type[msgspec.Struct]) -> MappingKind:
    """Return the kind of a section with a table of this struct for each name."""
    return MappingKind(formats.TABLE_NAME, TableKind(struct))


Sql = Annotated[Mapping[str, SqlConfig], Key(named(SqlConfig), "Tables in SQL databases, by name.")]
Ldap = Annotated[
    Mapping[str, LdapConfig], Key(named(LdapConfig), "Tables in LDAP directories, by name.")
]
Redis = Annotated[
    Mapping[str, RedisConfig],
    Key(named(RedisConfig), "Tables on Redis or Valkey servers, by name."),
]
Http = Annotated[
    Mapping[str, HttpConfig], Key(named(HttpConfig), "Tables on web servers, by name.")
]
