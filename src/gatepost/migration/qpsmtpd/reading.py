"""Read the folder of qpsmtpd.

A file that is not in its folder `config` is one of qmail, in `control`, as for qpsmtpd itself. The
files `me`, `plugins`, `plugin_dirs` and `logging` are those of `config` only.
"""

from collections.abc import Iterator
from pathlib import Path

from gatepost.migration.findings import Findings
from gatepost.migration.finish import complete
from gatepost.migration.job import Job, Used
from gatepost.migration.plugins import ServerPlugins
from gatepost.migration.qpsmtpd import settings
from gatepost.migration.qpsmtpd.table import BUILT_IN, PLUGINS
from gatepost.migration.source import Source
from gatepost.migration.unread import report_unread
from gatepost.migration.where import find_config

PLUGINS_FILE = "plugins"


def read(folder: Path, control: Path, *, follow: bool = False) -> Job:
    """Return what a folder becomes; raises `NoConfigError` for another folder."""
    job = Job(open_source(folder, control, follow=follow))
    job.rules_spare_relays = True
    settings.read(job)
    for used in used_plugins(job.source):
        _SERVER.take(job, used)
    settings.read_logging(job)
    complete(job)
    settings.add_relay(job)
    report_unread(job)
    return job


def open_source(folder: Path, control: Path, *, follow: bool) -> Source:
    """Return the files of a folder: that of the installation, or its folder `config`."""
    root, config = find_config(folder, "qpsmtpd")
    return Source(root, [config, control], Findings(), includes=True, follow=follow)


def used_plugins(source: Source) -> Iterator[Used]:
    """Yield the plugins of the configuration in their order."""
    for line in source.values(PLUGINS_FILE):
        name, *arguments = line.text.split()
        base, _, number = name.rpartition(":")
        is_again = base != "" and number.isdigit() and not base.endswith(":")
        yield Used(base if is_again else name, tuple(arguments), line.place)


def _code(source: Source, name: str) -> Path | None:
    """Return the file of a plugin of one's own, None if it is not found."""
    folders = [Path(line.text) for line in source.values("plugin_dirs")]
    folders = folders or [source.root / "plugins"]
    paths = (folder / name for folder in folders if ".." not in name and not name.startswith("/"))
    return next((path for path in paths if path.is_file()), None)


_SERVER = ServerPlugins("qpsmtpd", PLUGINS, BUILT_IN, _code)
