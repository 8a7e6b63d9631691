"""Look up the country and the network operator (ASN) of the client in files such as GeoLite2.

The files are in the MaxMind DB format: GeoLite2, GeoIP2, DB-IP, IPinfo. Each worker has a copy in
memory, which is replaced when the file changes. So a file that is overwritten, truncated or removed
cannot stop mail: the last good copy stays in use.

Limits: a file may be wrong in any way; what is read is checked.
"""

import importlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from gatepost import Decision, File, Plugin, Reaction, Session, blocking, field
from gatepost.plugins._addresses import IpAddress
from gatepost.plugins._client import ClientCheck, Finding, outside_address, points

_COUNTRY = re.compile(r"[A-Z]{2}")
_COUNTRY_KEY = re.compile(r"[A-Z]{2}|default|unknown")
_ASN_KEY = re.compile(r"(?:AS)?[1-9][0-9]{0,9}|default")
_LONGEST = 200

Signature = tuple[int, int, int]


class Geo(ClientCheck):
    """Adds the result `geo`: the code of the country, or "unknown"."""

    class Options(Plugin.Options):
        """The files, and reactions by country and operator."""

        databases: tuple[File, ...]
        """Files in the MaxMind DB format, such as GeoLite2-Country.mmdb and GeoLite2-ASN.mmdb."""
        countries: dict[str, Reaction] = field(default_factory=dict)
        """The reaction to a country, by its ISO code such as "DE". "default" is any other
        country, "unknown" an address without one."""
        asns: dict[str, Reaction] = field(default_factory=dict)
        """The reaction to a network operator, by its number such as "64500". "default" is any
        other operator."""
        decide_at: Literal["connect", "rcpt"] = "rcpt"
        """Where a client is refused. At "rcpt" the recipients are recorded, and authenticated
        clients are exempt."""

        def __post_init__(self) -> None:
            _check(self.countries, _COUNTRY_KEY, 'codes of countries such as "DE"')
            _check(self.asns, _ASN_KEY, 'numbers of operators such as "64500"')

    databases: tuple["Database", ...] = ()

    def start(self) -> None:
        """Read the files; raises `DatabaseError` for one that cannot be used."""
        self.databases = tuple(Database(path) for path in self.options.databases)
        for one in self.databases:
            one.refresh()
        self.every("5s", self.refresh)

    @blocking
    def refresh(self) -> None:
        """Read the files that have changed; a failure is logged once for each change."""
        for one in self.databases:
            try:
                if one.refresh():
                    self.log.info("geo database loaded", path=str(one.path))
            except DatabaseError as error:
                self.log.warning("geo database kept", path=str(one.path), problem=str(error))

    def on_connect(self, session: Session) -> Decision | None:
        """Look up the address."""
        address = outside_address(session)
        if address is None:
            return None
        found: dict[str, Any] = {}
        for database in self.databases:
            found.update(self._look_up(database, address))
        country, asn = str(found.get("country", "")), str(found.get("asn", ""))
        findings = (_country(country), _operator(asn))
        session.results.add(
            "geo", country.lower() or "unknown", **found, score=points(findings, self.options)
        )
        self.keep(session, findings)
        return self.decide_now(session)

    def _look_up(self, database: "Database", address: IpAddress) -> Mapping[str, str | int]:
        try:
            return dict(facts(database.record(address)))
        except DatabaseError as error:
            self.metrics.counter("unanswered").inc()
            if not database.is_reported:
                database.is_reported = True
                self.log.warning(
                    "geo database damaged", path=str(database.path), problem=str(error)
                )
            return {}


def _check(table: Mapping[str, Reaction], key: re.Pattern[str], expected: str) -> None:
    for one in table:
        if not key.fullmatch(one):
            raise ValueError(f"expected {expected}, found {one[:40]!r}")


def _country(code: str) -> Finding:
    def reaction(options: Geo.Options) -> Reaction:
        table = options.countries
        return table.get(code or "unknown") or table.get("default" if code else "") or Reaction()

    text = "Mail from your country is not accepted here"
    return Finding("country", text, "5.7.1", reaction)


def _operator(number: str) -> Finding:
    def reaction(options: Geo.Options) -> Reaction:
        table = options.asns
        keys = (number, f"AS{number}", "default") if number else ()
        return next((table[key] for key in keys if key in table), Reaction())

    text = "Mail from your network is not accepted here"
    return Finding("asn", text, "5.7.1", reaction)


def facts(record: object) -> Iterator[tuple[str, str | int]]:
    """Yield the country, the number and the name of the operator of a record, if they are valid."""
    if not isinstance(record, Mapping):
        return
    for key in ("country", "registered_country"):
        place = record.get(key)
        code = place.get("iso_code") if isinstance(place, Mapping) else None
        if isinstance(code, str) and _COUNTRY.fullmatch(code):
            yield "country", code
            break
    number = record.get("autonomous_system_number")
    if isinstance(number, int) and 0 < number < 2**32:
        yield "asn", number
    name = record.get("autonomous_system_organization")
    if isinstance(name, str):
        yield "organisation", "".join(one if one.isprintable() else "?" for one in name[:_LONGEST])


class DatabaseError(Exception):
    """A file cannot be used, or a record in it cannot be read; the message is the reason."""


class Database:
    """A copy of one file in memory; `is_reported` is whether a damaged record was logged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_reported = False
        self._reader: Any = None
        self._signature: Signature | None = None

    def refresh(self) -> bool:
        """Read the file if it has changed; return whether it was.

        Raises `DatabaseError` if it cannot be used, once for each change.
        """
        signature = self._look()
        if signature == self._signature:
            return False
        self._signature = signature
        self._reader = open_copy(self.path)
        self.is_reported = False
        return True

    def _look(self) -> Signature:
        try:
            status = self.path.stat()
        except OSError:
            return (0, 0, 0)
        return status.st_mtime_ns, status.st_size, status.st_ino

    def record(self, address: IpAddress) -> object:
        """Return the record of an address, None without one; raises `DatabaseError`."""
        try:
            return self._reader.get(address)
        except Exception as error:
            if address.version == 6 and self._reader.metadata().ip_version == 4:
                return None
            raise DatabaseError(str(error)) from error


def open_copy(path: Path) -> Any:
    """Return a reader of a copy of a file; raises `DatabaseError`.

    The copy is in memory without a name, where no other process can change it: a mapped file that
    is truncated would end the worker.
    """
    maxminddb = _library()
    try:
        copy = os.memfd_create("gatepost-geo")
        try:
            with os.fdopen(os.dup(copy), "wb") as file:
                file.write(path.read_bytes())
            return maxminddb.open_database(f"/proc/self/fd/{copy}")
        finally:
            os.close(copy)
    except Exception as error:  # the library raises errors of many types for damaged files
        raise DatabaseError(f"{path.name}: {error}") from error


def _library() -> Any:
    try:
        return importlib.import_module("maxminddb")
    except ImportError as error:
        raise DatabaseError("geo needs maxminddb: pip install 'gatepost[geo]'") from error
