"""Local domains and mailboxes from an SQL database, here SQLite.

An example of `on_lookup`, which also decides which domains are local. For the mailboxes of fixed
domains no plugin is needed: use a table in `recipients.known`.

    [[plugin]]
    use = "plugins/sql_recipients.py"
    options = { database = "mail.db" }

    create table mailboxes (user text, domain text, primary key (domain, user));

A domain is local if it has any mailbox. The server keeps the answers for some minutes, so the
database is not asked for each recipient. If it cannot be read, the recipient is deferred; see
`on_error`.
"""

import sqlite3
from contextlib import closing

from gatepost import File, Lookup, Plugin, Recipient, Transaction, blocking, local, unknown


class SqlRecipients(Plugin):
    """Looks recipients up in a database."""

    class Options(Plugin.Options):
        """`database` is the file."""

        database: File

    @blocking
    def on_lookup(self, _tx: Transaction, rcpt: Recipient) -> Lookup | None:
        """Return whether the mailbox exists; None for a domain without mailboxes."""
        with closing(sqlite3.connect(self.options.database)) as database:
            query = "select max(user = ?) from mailboxes where domain = ?"
            [found] = database.execute(query, (rcpt.user, rcpt.domain)).fetchone()
        if found is None:
            return None
        return local() if found else unknown()
