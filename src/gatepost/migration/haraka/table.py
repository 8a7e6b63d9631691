"""The function for each plugin of Haraka, by its name in the table of equivalents."""

from collections.abc import Mapping

from gatepost.migration.haraka import clients, content, delivery, limits, recipients, tls
from gatepost.migration.job import Handler

PLUGINS: Mapping[str, Handler] = {
    "rcpt_to.in_host_list": recipients.take_domains,
    "access": recipients.take_access,
    "aliases": recipients.take_aliases,
    "relay": clients.take_relay,
    "dns-list": clients.take_dns_lists,
    "early_talker": clients.take_early_talker,
    "fcrdns": clients.take_fcrdns,
    "helo.checks": clients.take_helo,
    "greylist": clients.take_greylist,
    "xclient": clients.take_xclient,
    "limit": limits.take,
    "mail_from.is_resolvable": content.take_resolvable,
    "spf": content.take_spf,
    "dkim": content.take_dkim,
    "opendkim": content.take_dkim,
    "headers": content.take_headers,
    "bounce": content.take_bounces,
    "clamd": content.take_clamav,
    "spamassassin": content.take_spamassassin,
    "rspamd": content.take_rspamd,
    "uribl": content.take_uribl,
    "attachment": content.take_attachments,
    "mailauth": content.take_mailauth,
    "tls": tls.take_tls,
    "auth/flat_file": tls.take_flat_file,
    "auth/auth_bridge": tls.take_auth,
    "auth/auth_proxy": tls.take_auth,
    "auth/auth_vpopmaild": tls.take_auth,
    "auth-enc-file": tls.take_auth,
    "auth-imap": tls.take_auth,
    "auth_ldap": tls.take_auth,
    "queue/smtp_forward": delivery.take,
    "queue/smtp_proxy": delivery.take,
    "queue/lmtp": delivery.take,
    "queue/qmail-queue": delivery.take,
    "queue/discard": delivery.take,
    "queue/test": delivery.take,
}
# Plugins that need no configuration here, because the server does the same or has a default.
BUILT_IN = frozenset(
    {
        "process_title",
        "profile",
        "queue/deliver",
        "rcpt_to.host_list_base",
        "reseed_rng",
        "status",
        "syslog",
        "toobusy",
        "watch",
        "log-reader",
    }
)
