"""Take the plugins of a server over, or record why they are not."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from gatepost.migration import own_plugins
from gatepost.migration.job import Handler, Job, Used
from gatepost.migration.rows import explained, page_of, row_of
from gatepost.migration.source import Source


class ServerPlugins(NamedTuple):
    """The plugins of a server.

    `handlers` are the functions that take them over. `built_in` has those that need no
    configuration here, each with a text, "" for that of the table of equivalents. `code` returns
    the file of a plugin of one's own, None if it is not found.
    """

    server: str
    handlers: Mapping[str, Handler]
    built_in: Mapping[str, str]
    code: Callable[[Source, str], Path | None]

    def take(self, job: Job, used: Used) -> None:
        """Take a plugin over, or record why it is not."""
        row = row_of(self.server, used.name)
        if row is None:
            text = own_plugins.described(self.code(job.source, used.name))
            job.findings.left(used.place, f"{used.name}: {text}", own_plugins.PAGE)
        elif row.name in self.handlers:
            self.handlers[row.name](job, used._replace(known=row.name))
        elif row.name in self.built_in:
            text = self.built_in[row.name] or explained(row)
            job.findings.different(used.place, f"{used.name}: {text}", page_of(row))
        else:
            job.findings.left(used.place, f"{used.name}: {explained(row)}", page_of(row))
