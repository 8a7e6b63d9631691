"""Checks of the content: header fields, signatures, scanners."""

from collections.abc import Mapping, Sequence

from gatepost.migration.dkim_keys import take_folders
from gatepost.migration.job import Job, Used
from gatepost.migration.qpsmtpd.clients import mode, reaction
from gatepost.migration.services import points, server_address
from gatepost.migration.toml import Value

_MAX_HOPS = 1000
_ACTIONS = {"deny": "deny", "denysoft": "defer"}
_KIB = 1024


def take_headers(job: Job, used: Used) -> None:
    """Take the required fields, and the limits of the date."""
    options, found = used.options, reaction(used)
    required = [one for one in options.get("require", "From").split(",") if one]
    taken: dict[str, Value] = {"required": required, "missing": found, "repeated": found}
    for name, limit, rule in (("past", "oldest", "date_old"), ("future", "ahead", "date_future")):
        days = options.get(name, "")
        if days.isascii() and days.isdigit() and 0 < len(days) < 5:
            taken |= {limit: f"{int(days)}d", rule: found}
        else:
            taken[rule] = "none"
    job.check("headers", used, taken, **mode(used))


def take_bounces(job: Job, used: Used) -> None:
    """Take the check of bounces to several recipients."""
    action = next((_ACTIONS[one] for one in used.arguments if one in _ACTIONS), None)
    keys = {} if action else {"action": "log"}
    job.check("bounces", used, {"several": action or "deny"}, **keys)


def take_loop(job: Job, used: Used) -> None:
    """Take the number of hops."""
    hops = used.first("100")
    if hops.isascii() and hops.isdigit() and 0 < int(hops) <= _MAX_HOPS:
        job.draft.set("limits.hops", int(hops), used.place)
    else:
        job.findings.left(used.place, f"{used.name}: expected a number", "configuration.md#limits")


def take_dkim(job: Job, used: Used) -> None:
    """Take verification, and the keys that sign."""
    job.check("dkim", used)
    if used.options.get("reject", "1") != "0":
        text = f"{used.name}: a signature that fails is the same as none; nothing is refused"
        job.findings.different(used.place, text, "shipped/dkim.md")
    take_folders(job, used, job.source.folders[0] / "dkim")


def take_dmarc(job: Job, used: Used) -> None:
    """Take the policies of domains, and SPF and DKIM, which they need."""
    for needed in ("spf", "dkim"):
        job.draft.plugin(needed, used.place)
    rejects = used.options.get("reject", "1") != "0"
    job.check("dmarc", used, {"reject": reaction(used)} if rejects else None)
    text = f"{used.name}: gatepost dmarc report writes the reports"
    job.findings.different(used.place, text, "shipped/dmarc.md")


def take_spamassassin(job: Job, used: Used) -> None:
    """Take the server, and the points from which a message is refused."""
    options = used.options
    threshold = options.get("reject", "")
    taken: dict[str, Value] = {"deny": points(threshold), "server": _spamd(options)}
    size = options.get("size_limit", "")
    if size.isascii() and size.isdigit() and int(size) > 0:
        taken["largest"] = int(size)
    if "spamd_user" in options:
        taken["user"] = (
            "{address}" if options["spamd_user"] == "vpopmail" else options["spamd_user"]
        )
    if options.get("headers") == "none":
        taken["mark"] = False
    job.check("spamassassin", used, taken)
    if "munge_subject_threshold" in options:
        text = f"{used.name}: SpamAssassin changes the subject itself (rewrite_header)"
        job.findings.different(used.place, text, "shipped/spamassassin.md")


def _spamd(options: Mapping[str, str]) -> str:
    return server_address(options.get("spamd_socket", ""), 783)


def take_uribl(job: Job, used: Used) -> None:
    """Take the lists of domains in links, with their masks and actions."""
    action = used.options.get("action", "add-header")
    zones: dict[str, Value] = {}
    for line in job.source.values("uribl_zones"):
        zone, *more = line.text.lower().split()
        zones[zone] = _answers(more, action)
    if not zones:
        job.findings.left(used.place, f"{used.name}: no list in uribl_zones", "shipped/uribl.md")
        return
    job.check("uribl", used, {"zones": zones})


def _answers(columns: Sequence[str], action: str) -> Value:
    found = _ACTIONS.get(columns[1] if len(columns) > 1 else action, "none")
    masks = columns[0].split(",") if columns else []
    bits = [one for one in masks if one.isascii() and one.isdigit() and 0 < int(one) < 256]
    return {f"&{one}": found for one in bits} if bits else found


def take_clamav(job: Job, used: Used) -> None:
    """Take the server of ClamAV, and the largest message."""
    options = used.options
    taken: dict[str, Value] = {"server": _clamd(options), "too_large": "none"}
    size = options.get("max_size", "1024")
    if size.isascii() and size.isdigit() and 0 < int(size) < 2**20:
        taken["largest"] = int(size) * _KIB
    if options.get("deny_viruses", "yes") == "no":
        taken["infected"] = "none"
    on_error = "" if options.get("defer_on_error", "no") == "yes" else "skip"
    job.check("clamav", used, taken, on_error=on_error)


def _clamd(options: Mapping[str, str]) -> str:
    if "clamd_port" in options:
        return server_address(f"{options.get('clamd_host', '')}:{options['clamd_port']}", 3310)
    return server_address(options.get("clamd_socket", "/var/run/clamav/clamd.ctl"), 3310)
