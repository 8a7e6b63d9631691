"""Folders of other servers, and the words of a report."""

import tomllib
from pathlib import Path

from gatepost.migration.findings import Findings, Kind
from gatepost.migration.folder import write
from gatepost.migration.haraka import reading as haraka
from gatepost.migration.qpsmtpd import reading as qpsmtpd
from gatepost.migration.source import Line, Source

NOWHERE = Path("/nonexistent")


def write_files(folder, files):
    """Write files below a folder by their relative paths; return the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def source(folder, **options):
    return Source(folder, [folder], Findings(), **options)


def lines(*texts, file="file"):
    return [Line(text, file, number) for number, text in enumerate(texts, start=1)]


class Imported:
    """The result of an import: the new configuration, its lists and the report."""

    def __init__(self, job, folder):
        write(job.draft, folder, "Made by a test.")
        self.folder = folder
        self.job = job
        self.config = tomllib.loads((folder / "gatepost.toml").read_text())

    def plugin(self, use):
        (found,) = [one for one in self.config.get("plugin", ()) if one["use"] == use]
        return found

    def options(self, use):
        return self.plugin(use).get("options", {})

    def entries(self, name):
        """The lines of a list, without the first one, which has its origin."""
        return (self.folder / name).read_text().splitlines()[1:]

    def report(self, kind):
        return [(one.place, one.text) for one in self.job.findings.of(Kind[kind])]

    def left(self, place):
        return [text for where, text in self.report("LEFT") if where == place]

    def different(self, place):
        return [text for where, text in self.report("DIFFERENT") if where == place]


def import_qpsmtpd(tmp_path, files, *, control=NOWHERE, follow=False):
    """Import the files of a folder `config`; names with a slash in front are below the root."""
    root = _root(tmp_path, files)
    return Imported(qpsmtpd.read(root, control, follow=follow), tmp_path / "mail")


def import_haraka(tmp_path, files, *, follow=False):
    root = _root(tmp_path, files)
    return Imported(haraka.read(root, follow=follow), tmp_path / "mail")


def _root(tmp_path, files):
    named = {
        name[1:] if name.startswith("/") else f"config/{name}": text for name, text in files.items()
    }
    return write_files(tmp_path / "theirs", {"config/plugins": "", **named})
