"""`ldap:NAME`: a table in an LDAP directory, by a search of `[ldap.NAME]`.

A key is found if the search returns an entry. With `key_attribute`, one search has several keys; an
entry belongs to the keys in this attribute. Otherwise each key is a search of its own.

Keys are escaped in the filter: every character that is not a letter, a digit or one of `@._+-`, so
that no key can change the filter (RFC 4515 s3). ldap3 runs in a thread. The connection of a search
that is given up is closed, so that the thread is free for the next one.

Limits: one search at a time, MOST_ENTRIES entries for each key.
"""

import asyncio
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from ldap3.core.exceptions import LDAPExceptionError
from ldap3.operation.search import parse_filter

from gatepost.config.secret_file import read_secret
from gatepost.config.tables import LdapConfig
from gatepost.model.secret import Secret
from gatepost.net.client_tls import ClientTls
from gatepost.tables.directory import Directory, DirectorySettings, Entry
from gatepost.tables.key_template import KeyTemplate
from gatepost.tables.remote import RemoteTable
from gatepost.tables.rows import SEPARATOR, Row, find_rows
from gatepost.tables.spec import TableSpec
from gatepost.tables.table import Found

MOST_ENTRIES: Final = 100
_SPECIAL: Final = re.compile(r"[^A-Za-z0-9@._+-]")


class LdapTable(RemoteTable):
    """A search in a directory."""

    failures = (Exception,)  # ldap3 raises errors of many types for an answer that is malformed

    def __init__(self, spec: TableSpec) -> None:
        options: LdapConfig = spec.options
        super().__init__(spec.name, options.timeout)
        self._filter = _filter(options.filter)
        self._key = options.key_attribute.lower()
        self._value = options.value_attribute.lower()
        self._attributes = [one for one in (options.key_attribute, options.value_attribute) if one]
        self._directory = Directory(_settings(options, spec.base))
        self._thread = ThreadPoolExecutor(1, f"gatepost-ldap-{spec.rest}")

    async def _look_up(self, keys: Sequence[str]) -> Found:
        filters = {key: text for key in keys if (text := self._filter.fill(key, escape))}
        if not filters:
            return {}

        async def search(some: Sequence[str]) -> list[Row]:
            return await self._search([filters[key] for key in some])

        if self._key:
            return await find_rows(list(filters), search)
        found: dict[str, str] = {}
        for key in filters:
            found |= await find_rows([key], search)
        return found

    async def _search(self, filters: Sequence[str]) -> list[Row]:
        text = filters[0] if len(filters) == 1 else f"(|{''.join(filters)})"
        most = MOST_ENTRIES * len(filters)
        loop, search = asyncio.get_running_loop(), self._directory.search
        try:
            entries = await loop.run_in_executor(self._thread, search, text, self._attributes, most)
        except asyncio.CancelledError:
            self._directory.abort()
            raise
        return [self._row(entry) for entry in entries]

    def _row(self, entry: Entry) -> Row:
        values = filter(None, _texts(entry, self._value))
        return Row(_texts(entry, self._key), SEPARATOR.join(values))

    async def stop(self) -> None:
        """See `Table.stop`."""
        self._directory.abort()
        self._thread.submit(self._directory.close)
        self._thread.shutdown(wait=False)


def escape(value: str) -> str:
    """Return a text with each octet of its special characters in hexadecimal (RFC 4515 s3)."""
    return _SPECIAL.sub(lambda one: "".join(f"\\{octet:02x}" for octet in one[0].encode()), value)


def _texts(entry: Entry, attribute: str) -> list[str]:
    return [value.decode("utf-8", "replace") for value in entry.get(attribute, ())]


def _filter(text: str) -> KeyTemplate:
    template = KeyTemplate(text)
    try:
        parse_filter(
            template.fill("user@example.com", escape),
            None,
            False,
            False,
            None,
            False,
        )
    except LDAPExceptionError as error:
        raise ValueError(
            f"filter: expected a filter of RFC 4515 in parentheses: {error}"
        ) from error
    return template


def _settings(options: LdapConfig, base: Path) -> DirectorySettings:
    if not options.urls:
        raise ValueError("urls: expected at least one")
    if bool(options.bind_dn) != bool(options.password_file):
        raise ValueError("expected bind_dn and password_file, or neither")
    password = Secret()
    if options.password_file:
        password = read_secret(base / options.password_file, "password")
    return DirectorySettings(
        urls=options.urls,
        base=options.base,
        scope=options.scope,
        bind_dn=options.bind_dn,
        password=password,
        start_tls=options.tls == "starttls",
        tls=ClientTls("verified", base / options.ca if options.ca else None),
        timeout=options.timeout,
    )
