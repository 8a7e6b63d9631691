"""Local domains and mailboxes from an LDAP directory, with ldap3.

An example of `on_lookup`, which also decides which domains are local. For the mailboxes of fixed
domains no plugin is needed: use a table in `recipients.known`.

    [[plugin]]
    use = "plugins/ldap_recipients.py"
    options = { url = "ldap://ldap.example.com", base = "ou=people,dc=example,dc=com" }

Install it with `pip install ldap3`. An entry with the attribute `mail` is a mailbox, and a domain
with any mailbox is local. The server keeps the answers for some minutes. If the directory does not
answer, the recipient is deferred; see `on_error`.
"""

# The types of ldap3 are incomplete.
# pyright: reportMissingModuleSource=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false

import ldap3.utils.conv

from gatepost import Lookup, Plugin, Recipient, Transaction, blocking, local, unknown


class LdapRecipients(Plugin):
    """Looks recipients up in a directory."""

    class Options(Plugin.Options):
        """`url` is the server, `base` the entry below which mailboxes are searched."""

        url: str
        base: str

    @blocking
    def on_lookup(self, _tx: Transaction, rcpt: Recipient) -> Lookup | None:
        """Return whether the mailbox exists; None for a domain without mailboxes."""
        user, domain = map(ldap3.utils.conv.escape_filter_chars, (rcpt.user, rcpt.domain))
        with ldap3.Connection(self.options.url, auto_bind=True, receive_timeout=10) as directory:
            if directory.search(self.options.base, f"(mail={user}@{domain})", size_limit=1):
                return local()
            is_ours = directory.search(self.options.base, f"(mail=*@{domain})", size_limit=1)
        return unknown() if is_ours else None
