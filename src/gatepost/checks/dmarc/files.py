"""Write the aggregate reports of a period: a file for each domain that requests reports (RFC 9990).

A file is complete when it has its name. Writing the same report again replaces it: its name and its
id depend only on the reporter, the domain and the period.
"""

import gzip
import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from gatepost._version import __version__
from gatepost.checks.dmarc.collect import Domain, Period
from gatepost.mailauth.dmarc.report import Metadata, report_lines, report_name

_GENERATOR = f"Gatepost {__version__}"


class Written(NamedTuple):
    """A report in a file: its policy domain and its id."""

    path: Path
    domain: str
    report_id: str


def write_reports(folder: Path, period: Period, reporter: str, email: str) -> Iterator[Written]:
    """Write the reports and yield them; raises OSError.

    `reporter` is the host name of this server, `email` the address for questions.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for domain in period.domains.values():
        if domain.requests_reports:
            metadata = _metadata(domain, period, reporter, email)
            path = folder / f"{report_name(reporter, domain.name, metadata)}.gz"
            lines = report_lines(metadata, domain.name, domain.published, domain.rows())
            _write(path, lines)
            yield Written(path, domain.name, metadata.report_id)


def _metadata(domain: Domain, period: Period, reporter: str, email: str) -> Metadata:
    # Both ends belong to the period.
    begin, end = period.since, period.until - 1
    unique = hashlib.blake2b(f"{reporter} {domain.name} {begin} {end}".encode(), digest_size=10)
    return Metadata(reporter, email, unique.hexdigest(), begin, end, generator=_GENERATOR)


def _write(path: Path, lines: Iterable[bytes]) -> None:
    unfinished = path.with_name(f".{os.getpid()}.tmp")
    try:
        # Without a name and a time inside, the same report has the same octets.
        with (
            unfinished.open("wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed,
        ):
            packed.writelines(lines)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
