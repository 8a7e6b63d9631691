"""DKIM keys of qpsmtpd and Haraka: a folder for each domain, with `private` and `selector`.

A key stays where it is: the new configuration has its path. The file is not read here.
"""

import re
from pathlib import Path

from gatepost.migration.job import Job, Used
from gatepost.model.address import AddressError, parse_domain

_SELECTOR = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?")
_PAGE = "shipped/dkim_sign.md"
MOST_DOMAINS = 1000


def take_folders(job: Job, used: Used, folder: Path) -> None:
    """Take the keys in a folder with a folder for each domain."""
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir())[:MOST_DOMAINS]:
        if path.is_dir() and (path / "private").exists():
            name = str((path / "selector").relative_to(job.source.folders[0]))
            selector = job.source.value(name)
            add_key(job, used, path.name, selector.text if selector else "", path / "private")
    job.source.paths.append(folder)


def add_key(job: Job, used: Used, domain: str, selector: str, file: Path) -> None:
    """Add a key to the plugin `dkim_sign`."""
    place = job.source.shown(file)
    try:
        parse_domain(domain)
    except AddressError:
        job.findings.left(place, "expected a folder with the name of a domain", _PAGE)
        return
    if not _SELECTOR.fullmatch(selector):
        job.findings.left(place, "no selector: the key signs nothing", _PAGE)
        return
    key = {"domains": [domain], "selector": selector, "file": str(file.absolute())}
    job.draft.append_option("dkim_sign", used.place, "keys", key)
    text = f"{domain}: its key stays in this file; move it before you remove the folder"
    job.findings.different(place, text, _PAGE)
