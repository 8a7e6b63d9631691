"""The formats: their names, their importers, and the detection from the first lines."""

from collections.abc import Callable, Iterable, Mapping

from gatepost.importers.entry import Entry
from gatepost.importers.exim import EximImporter
from gatepost.importers.haraka import HarakaImporter
from gatepost.importers.importer import Importer
from gatepost.importers.postfix.importer import PostfixImporter
from gatepost.importers.qmail import QmailImporter
from gatepost.importers.qpsmtpd import QpsmtpdImporter
from gatepost.importers.sendmail import SendmailImporter

# In the order of detection: the ones with the most specific lines first.
FORMATS: Mapping[str, Callable[[], Importer]] = {
    "postfix": PostfixImporter,
    "sendmail": SendmailImporter,
    "haraka": HarakaImporter,
    "qmail": QmailImporter,
    "qpsmtpd": QpsmtpdImporter,
    "exim": EximImporter,
}
# Lines that the detection reads.
SAMPLE = 2000


def detect(entries: Iterable[Entry]) -> str | None:
    """Return the format with the most lines among the entries, None if there is no such line."""
    sample = list(entries)
    counts = {name: sum(map(make().feed, sample)) for name, make in FORMATS.items()}
    best = max(counts, key=lambda name: counts[name])
    return best if counts[best] else None
