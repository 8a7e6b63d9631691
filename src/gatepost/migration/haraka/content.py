"""Checks of senders and content: SPF, DKIM, header fields, scanners."""

from collections.abc import Mapping

from gatepost.migration.dkim_keys import add_key, take_folders
from gatepost.migration.entries import address_or_domain, domain
from gatepost.migration.haraka.clients import reactions
from gatepost.migration.haraka.ini import MAIN, Ini, read_ini
from gatepost.migration.job import Job, Used
from gatepost.migration.services import points, server_address
from gatepost.migration.toml import Value

_SPF_RESULTS = ("none", "softfail", "fail", "permerror")


def take_resolvable(job: Job, used: Used) -> None:
    """Take the check that the domain of the sender receives mail."""
    ini = read_ini(job.source, "mail_from.is_resolvable.ini")
    mode = ini.get("no_mx", "deny", "reject").lower()
    found = {"no": "none", "false": "defer", "defer": "defer"}.get(mode, "deny")
    job.check("sender_domain", used, {"missing": found, "bogus": found, "null_mx": found})


def take_spf(job: Job, used: Used) -> None:
    """Take the results of SPF that are refused or deferred."""
    ini = read_ini(job.source, "spf.ini")
    options: dict[str, Value] = {
        result: "deny" for result in _SPF_RESULTS if ini.true("deny", f"mfrom_{result}")
    }
    if ini.true("defer", "mfrom_temperror"):
        options["temperror"] = "defer"
    job.check("spf", used, options)
    if any(ini.true("deny", f"helo_{result}") for result in _SPF_RESULTS):
        text = "deny.helo_*: the name in HELO counts for the null sender only"
        job.findings.different(ini.place, text, "shipped/spf.md")


def take_dkim(job: Job, used: Used) -> None:
    """Take verification, and the keys that sign."""
    ini = read_ini(job.source, "dkim.ini", "dkim_sign.ini")
    if used.name != "dkim_sign" and ini.true("verify", "enabled", default=True):
        job.check("dkim", used)
    if used.name == "dkim_verify":
        return
    section = "sign" if any(ini.keys("sign")) else MAIN
    config = job.source.folders[0]
    is_on = ini.true(section, "enabled") or not ini.true(section, "disabled", default=True)
    if not is_on:
        return
    take_folders(job, used, config / "dkim")
    if (config / "dkim.private.key").exists():
        domain, selector = ini.get("domain", section=section), ini.get("selector", section=section)
        add_key(job, used, domain, selector, config / "dkim.private.key")
        job.source.paths.append(config / "dkim.private.key")


def take_headers(job: Job, used: Used) -> None:
    """Take the required and unique fields, and the limits of the date."""
    ini = read_ini(job.source, "headers.ini")
    rules = {"missing_required": "missing", "duplicate_singular": "repeated"}
    options = reactions(ini, rules)
    for theirs, ours in (("required", "required"), ("singular", "unique")):
        fields = ini.all(MAIN, theirs)
        if fields:
            options[ours] = list(fields)
    for theirs, limit, rule in _DATES:
        days = ini.number(theirs, most=3650)
        options |= {limit: f"{days}d"} if days else {rule: "none"}
        if days and ini.true("reject", "invalid_date"):
            options[rule] = "deny"
    job.check("headers", used, options)
    if ini.true("reject", "delivered_to", default=True):
        job.check("loops", used)


_DATES = (("date_past_days", "oldest", "date_old"), ("date_future_days", "ahead", "date_future"))


def take_bounces(job: Job, used: Used) -> None:
    """Take the checks of bounces."""
    ini = read_ini(job.source, "bounce.ini")
    several = ini.true("reject", "single_recipient", default=True)
    options: dict[str, Value] = {"several": "deny" if several else "none"}
    if job.source.value("bounce_bad_rcpt"):
        page = "shipped/bounces.md"
        job.add_list("bounce_bad_rcpt", address_or_domain, text="addresses", page=page)
        options["never_send"] = ["file:bounce_bad_rcpt"]
        if not ini.true("reject", "bad_rcpt", default=True):
            options["not_a_sender"] = "none"
    job.check("bounces", used, options)
    for rule in ("all_bounces", "hash_validation", "bounce_spf"):
        if ini.true("reject", rule):
            job.findings.left(ini.place, f"reject.{rule}: no equivalent", "shipped/bounces.md")


def take_clamav(job: Job, used: Used) -> None:
    """Take the servers of ClamAV."""
    ini = read_ini(job.source, "clamd.ini")
    servers = ini.all(MAIN, "clamd_socket") or ["localhost:3310"]
    options: dict[str, Value] = {"server": [server_address(one, 3310) for one in servers]}
    options |= _largest(ini, "max_size")
    if not ini.true("reject", "virus", default=True):
        options["infected"] = "none"
    on_error = "" if ini.true("reject", "error", default=True) else "skip"
    job.check("clamav", used, options, on_error=on_error)


def _largest(ini: Ini, key: str) -> dict[str, Value]:
    size = ini.number(key)
    return {"largest": size, "too_large": "none"} if size else {}


def take_spamassassin(job: Job, used: Used) -> None:
    """Take the server, and the points from which a message is refused."""
    ini = read_ini(job.source, "spamassassin.ini")
    server = server_address(ini.get("spamd_socket", "localhost:783"), 783)
    options: dict[str, Value] = {"server": server, "deny": points(ini.get("reject_threshold"))}
    options |= _largest(ini, "max_size") or {"largest": 500_000}
    user = ini.get("spamd_user")
    if user:
        options["user"] = "{address}" if user == "first-recipient" else user
    if not ini.true(MAIN, "add_headers", default=True):
        options["mark"] = False
    job.check("spamassassin", used, options, on_error=_on_error(ini))


def _on_error(ini: Ini) -> str:
    kinds = ("error", "connect_timeout", "scan_timeout")
    return "" if any(ini.true("defer", one) for one in kinds) else "skip"


def take_rspamd(job: Job, used: Used) -> None:
    """Take the server of rspamd."""
    ini = read_ini(job.source, "rspamd.ini")
    host, port = ini.get("host", "localhost"), ini.number("port", most=65535) or 11333
    scheme = "https" if ini.get("scheme") == "https" else "http"
    socket = ini.get("unix_socket")
    server = f"unix:{socket}" if socket else f"{scheme}://{host}:{port}"
    options: dict[str, Value] = {"server": server}
    if not ini.true("reject", "spam", default=True):
        options["reject"] = "none"
    job.check("rspamd", used, options)
    if any(ini.keys("auth")):
        text = "auth: credentials for rspamd are not copied"
        job.findings.left(ini.place, text, "shipped/rspamd.md")


def take_uribl(job: Job, used: Used) -> None:
    """Take the lists of domains in links."""
    ini = read_ini(job.source, "uribl.ini")
    zones: dict[str, Value] = {}
    for zone in ini.sections():
        mask = ini.number("bitmask", zone, 255)
        bits = [2**bit for bit in range(8) if mask and mask & 2**bit]
        zones[zone] = {f"&{bit}": "deny" for bit in bits} if bits else "deny"
        if ini.get("dqs_key", section=zone):
            text = f"{zone}: its key is not copied; see keys"
            job.findings.left(ini.place, text, "shipped/uribl.md")
    if zones:
        job.check("uribl", used, {"zones": zones, **_excludes(job)})
    else:
        text = f"{used.name}: no list in {ini.place}; the default of Haraka is not read"
        job.findings.left(used.place, text, "shipped/uribl.md")


def _excludes(job: Job) -> Mapping[str, Value]:
    if not job.source.value("uribl.excludes"):
        return {}
    page = "shipped/uribl.md"
    job.add_list("uribl.excludes", domain, text="exempt domains", page=page)
    return {"exempt": ["file:uribl.excludes"]}


def take_attachments(job: Job, used: Used) -> None:
    """Take the extensions of files that are refused."""
    ini = read_ini(job.source, "attachment.ini")
    names = [one.lower().lstrip(".") for one in ini.all(MAIN, "disallowed_extensions")]
    job.check("attachments", used, {"more_extensions": names} if names else None)
    text = f"{used.name}: extensions of programs and contents are refused by default"
    job.findings.different(used.place, text, "shipped/attachments.md")
    for name in ("attachment.filename.regex", "attachment.ctype.regex"):
        if job.source.value(name):
            text = "regular expressions; the extensions of attachments are compared instead"
            job.findings.different(job.source.place(name), text, "shipped/attachments.md")


def take_mailauth(job: Job, used: Used) -> None:
    """Take SPF, DKIM, DMARC and ARC."""
    for use in ("spf", "dkim", "arc", "dmarc"):
        job.check(use, used)
