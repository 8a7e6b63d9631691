"""Read the folder of Haraka."""

from collections.abc import Iterator
from pathlib import Path

from gatepost.migration.findings import Findings
from gatepost.migration.finish import complete
from gatepost.migration.haraka import outbound, settings
from gatepost.migration.haraka.table import BUILT_IN, PLUGINS
from gatepost.migration.job import Job, Used
from gatepost.migration.plugins import ServerPlugins
from gatepost.migration.source import Source
from gatepost.migration.unread import report_unread
from gatepost.migration.where import find_config


def read(folder: Path, *, follow: bool = False) -> Job:
    """Return what a folder becomes; raises `NoConfigError` for another folder."""
    root, config = find_config(folder, "Haraka")
    source = Source(root, [config], Findings(), comments="#;", follow=follow)
    job = Job(source)
    settings.read(job)
    for used in used_plugins(source):
        _SERVER.take(job, used)
    complete(job)
    outbound.add_relay(job)
    report_unread(job)
    return job


def used_plugins(source: Source) -> Iterator[Used]:
    """Yield the plugins of the configuration in their order."""
    for line in source.values("plugins"):
        yield Used(line.text.split()[0], (), line.place)


def _code(source: Source, name: str) -> Path | None:
    if ".." in name or name.startswith("/"):
        return None
    plugins = source.root / "plugins"
    paths = (plugins / f"{name}.js", plugins / name / "index.js", plugins / name)
    return next((path for path in paths if path.is_file()), None)


_SERVER = ServerPlugins("haraka", PLUGINS, dict.fromkeys(BUILT_IN, ""), _code)
