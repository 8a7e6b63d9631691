"""Read the folder of Haraka."""

from collections.abc import Iterator
from pathlib import Path

from gatepost.migration import own_plugins
from gatepost.migration.findings import Findings
from gatepost.migration.finish import complete
from gatepost.migration.haraka import outbound, settings
from gatepost.migration.haraka.table import BUILT_IN, PLUGINS
from gatepost.migration.job import Job, Used
from gatepost.migration.rows import explained, page_of, row_of
from gatepost.migration.source import Source
from gatepost.migration.unread import report_unread
from gatepost.migration.where import find_config

SERVER = "haraka"


def read(folder: Path, *, follow: bool = False) -> Job:
    """Return what a folder becomes; raises `NoConfigError` for another folder."""
    root, config = find_config(folder, "Haraka")
    source = Source(root, [config], Findings(), comments="#;", follow=follow)
    job = Job(source)
    settings.read(job)
    for used in used_plugins(source):
        take(job, used)
    complete(job)
    outbound.add_relay(job)
    report_unread(job)
    return job


def used_plugins(source: Source) -> Iterator[Used]:
    """Yield the plugins of the configuration in their order."""
    for line in source.values("plugins"):
        yield Used(line.text.split()[0], (), line.place)


def take(job: Job, used: Used) -> None:
    """Take a plugin over, or record why it is not."""
    row = row_of(SERVER, used.name)
    if row is None:
        text = own_plugins.described(_code(job.source, used.name))
        job.findings.left(used.place, f"{used.name}: {text}", own_plugins.PAGE)
    elif row.name in PLUGINS:
        PLUGINS[row.name](job, used._replace(known=row.name))
    elif row.name in BUILT_IN:
        job.findings.different(used.place, f"{used.name}: {explained(row)}", page_of(row))
    else:
        job.findings.left(used.place, f"{used.name}: {explained(row)}", page_of(row))


def _code(source: Source, name: str) -> Path | None:
    if ".." in name or name.startswith("/"):
        return None
    plugins = source.root / "plugins"
    paths = (plugins / f"{name}.js", plugins / name / "index.js", plugins / name)
    return next((path for path in paths if path.is_file()), None)
