"""Checks of the client: its address, its name, and the time of its first command."""

import re
from collections.abc import Mapping

from gatepost.migration.job import Job, Used
from gatepost.migration.rules import Rules, first_word, quoted, whole
from gatepost.migration.source import Line
from gatepost.migration.toml import Value

_LONGEST_WAIT = 15
# The characters by which qpsmtpd recognises a regular expression in badhelo.
_PATTERN = re.compile(r"[{}\[\]()^$|*+?\\]")

# The reactions of the plugin `helo` by the policy of qpsmtpd.
_POLICIES: Mapping[str, tuple[str, ...]] = {
    "lenient": ("invalid",),
    "rfc": ("invalid", "bare", "unresolved"),
    "strict": ("invalid", "bare", "unresolved", "literal"),
}


def mode(used: Used) -> dict[str, Value]:
    """Return the mode of a plugin: shadow mode if it rejects nothing."""
    options = used.options
    rejects = options.get("reject", "1") != "0" and options.get("action", "") != "log"
    return {} if rejects else {"action": "log"}


def reaction(used: Used, default: str = "perm") -> str:
    """Return the reaction of a plugin that rejects."""
    kind = used.options.get("reject_type", default)
    soft = kind in {"soft", "temp", "temp_disconnect"} or used.options.get("action") == "denysoft"
    return "defer" if soft else "deny"


def take_early_talker(job: Job, used: Used) -> None:
    """Take the wait before the greeting."""
    wait = used.options.get("wait", "1")
    seconds = min(int(wait), _LONGEST_WAIT) if wait.isascii() and wait.isdigit() else 1
    options = {"wait": f"{max(seconds, 1)}s", "early": reaction(used)}
    job.check("early_talker", used, options, **mode(used))


def take_dnsbl(job: Job, used: Used) -> None:
    """Take the DNS block lists, and the clients that are not looked up."""
    zones = _zones(job, "dnsbl_zones", ":")
    if not zones:
        job.findings.left(used.place, f"{used.name}: no list in dnsbl_zones", "shipped/dnsbl.md")
        return
    options: dict[str, Value] = {"zones": zones, "listed": reaction(used)}
    allowed = [str(one) for one in job.networks("dnsbl_allow")]
    if allowed:
        options["exempt_clients"] = allowed
    if job.source.has("dnsbl_rejectmsg"):
        text = "the text of a refusal is the option text of dnsbl"
        job.findings.left(job.source.place("dnsbl_rejectmsg"), text, "shipped/dnsbl.md")
    job.check("dnsbl", used, options, **mode(used))


def take_rhsbl(job: Job, used: Used) -> None:
    """Take the lists of domains."""
    zones = _zones(job, "rhsbl_zones", None)
    if not zones:
        job.findings.left(used.place, f"{used.name}: no list in rhsbl_zones", "shipped/rhsbl.md")
        return
    options: dict[str, Value] = {"zones": zones, "check": ["sender", "helo"]}
    job.check("rhsbl", used, {**options, "listed": reaction(used)}, **mode(used))


def take_dnswl(job: Job, used: Used) -> None:
    """Take the DNS allow lists. Clients on them are exempt from dnsbl and greylist."""
    zones = _zones(job, "whitelist_zones", None)
    if zones:
        job.check("dnswl", used, {"zones": zones})
    else:
        job.findings.left(used.place, f"{used.name}: no list", "shipped/dnswl.md")


def _zones(job: Job, name: str, separator: str | None) -> list[str]:
    """Return the zones in a file: what comes before the separator, None for white space."""
    found = []
    for line in job.source.values(name):
        zone, *text = line.text.split(separator, 1)
        if text:
            job.findings.left(line.place, "the text of a refusal is an option of the plugin")
        found.append(zone.strip().lower())
    return list(dict.fromkeys(found))


def take_iprev(job: Job, used: Used) -> None:
    """Take the check of the name of the client, which rejects nothing there."""
    job.check("iprev", used)


def take_helo(job: Job, used: Used) -> None:
    """Take the checks of a policy, and the names that are refused."""
    policy = used.options.get("policy", "lenient")
    options = dict.fromkeys(_POLICIES.get(policy, _POLICIES["lenient"]), reaction(used))
    if "spam" not in used.name:
        job.check("helo", used, options, **mode(used))
        if policy != "lenient":
            job.check("iprev", used, {"missing": reaction(used)}, **mode(used))
    if not job.is_empty("badhelo", used, "shipped/regex.md"):
        job.add_rules("badhelo", "helo", _bad_helo)


def _bad_helo(name: str, line: Line, rules: Rules) -> str:
    word, _ = first_word(line)
    if word.startswith("!"):
        raise ValueError("expected a pattern that matches; one that must not has no equivalent")
    return rules.rule(name, word if _PATTERN.search(word) else whole(quoted(word)))


def take_p0f(job: Job, used: Used) -> None:
    """Take the socket of p0f 3."""
    options = dict(zip(used.arguments[1::2], used.arguments[2::2], strict=False))
    if not used.first().startswith("/") or options.get("version", "3") != "3":
        job.findings.left(used.place, f"{used.name}: only p0f 3 is asked", "shipped/p0f.md")
        return
    taken: dict[str, Value] = {"socket": used.first()}
    job.check("p0f", used, taken)
    if "smite_os" in options:
        job.findings.left(used.place, f"{used.name}: smite_os; see systems", "shipped/p0f.md")


def take_stunnel(job: Job, used: Used) -> None:
    """Take the PROXY header of stunnel on this machine."""
    if used.options.get("proxy", "on") == "on":
        job.draft.listen[0].keys["proxy_from"] = ["127.0.0.1/32"]
        text = f"{used.name}: listen.proxy_from; every connection from 127.0.0.1 needs the header"
        job.findings.taken(used.place, text, "configuration.md#listen")


def take_exempt(job: Job, used: Used) -> None:
    """Take the networks that are exempt from checks."""
    job.exempt += [str(one) for one in job.networks("whitelisthosts")]
    if job.exempt:
        text = f"{used.name}: the hosts are in unless.networks of each check"
        job.findings.taken(used.place, text, "configuration.md#plugin")
    for name in ("whitelisthelo", "whitelistsenders", "whitelistrcpt"):
        if job.source.has(name):
            text = "a name that a client claims does not exempt it; see unless of [[plugin]]"
            job.findings.left(job.source.place(name), text, "configuration.md#plugin")
