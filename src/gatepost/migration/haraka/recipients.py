"""Recipients: domains, aliases, and the access lists."""

import json
import re
from collections.abc import Iterator, Mapping

from gatepost.migration import entries
from gatepost.migration.haraka.ini import MAIN, Ini, read_ini
from gatepost.migration.job import Job, Used
from gatepost.migration.rules import Rules, first_word, quoted, whole
from gatepost.migration.source import Line
from gatepost.migration.toml import Value
from gatepost.model.address import Address, AddressError

_PAGE = "configuration.md#recipients"
# A regular expression of host_list_regex that is only a domain, or its subdomains.
_SUBDOMAINS = re.compile(
    r"(\.\*|\(\.\*\)|\[\^\.\]\+|\.\+)\\\.((?:[a-z0-9-]+\\\.)*[a-z0-9-]+)", re.IGNORECASE
)

# The access lists: the file, the setting of access.ini, and the place of the rules.
_DENIED = (
    ("connect.rdns_access.blacklist", "conn", "client", False),
    ("connect.rdns_access.blacklist_regex", "conn", "client", True),
    ("mail_from.access.blacklist", "mail", "sender", False),
    ("mail_from.access.blacklist_regex", "mail", "sender", True),
)
_DENIED_RECIPIENTS = ("rcpt_to.access.blacklist", "rcpt_to.access.blacklist_regex")
_ALLOWED = tuple(
    f"{name}.whitelist{kind}"
    for name in ("connect.rdns_access", "mail_from.access", "rcpt_to.access")
    for kind in ("", "_regex")
)
_REFUSED = tuple(row[0] for row in _DENIED)
_DOMAINS = "access.domains"
_MOST_ALIASES = 4 * 1024 * 1024


def take_domains(job: Job, used: Used) -> None:
    """Take the domains in `host_list`, and subdomains in `host_list_regex`."""
    domains: list[Value] = []
    if job.source.value("host_list"):
        domains.append("file:host_list")
        job.add_list("host_list", entries.domain, text="domains", page=_PAGE)
    for line in job.source.values("host_list_regex"):
        match = _SUBDOMAINS.fullmatch(line.text)
        if match:
            name = match[2].replace("\\", "").lower()
            domains.append(f".{name}")
            job.findings.taken(line.place, f"subdomains {domains[-1]}", _PAGE)
        else:
            job.findings.left(line.place, "a regular expression of domains", _PAGE)
    before = job.draft.get("recipients.domains")
    job.draft.put(
        "recipients.domains", [*before, *domains] if isinstance(before, list) else domains
    )
    if read_value(job, "host_list.anti_spoof"):
        job.check("sender_domain", used, {"own": "deny", **_ONLY_OWN})


# The other rules of `sender_domain`, off: Haraka has them in another plugin.
_ONLY_OWN: Mapping[str, Value] = dict.fromkeys(
    ("missing", "null_mx", "bogus", "dangling", "literal"), "none"
)


def read_value(job: Job, name: str) -> bool:
    """Return whether a file with one value has a true one."""
    line = job.source.value(name)
    return line is not None and line.text.lower() in {"true", "yes", "ok", "enabled", "on", "1"}


def take_access(job: Job, used: Used) -> None:
    """Take the lists of what is refused; what is allowed has no equivalent."""
    ini = read_ini(job.source, "access.ini")
    for name, phase, where, is_regex in _DENIED:
        if job.source.value(name) and ini.true("check", phase, default=True):
            job.add_rules(name, where, _regex if is_regex else _text)
    for name in _DENIED_RECIPIENTS:
        if job.source.value(name) and ini.true("check", "rcpt", default=True):
            convert = _refused_regex if name.endswith("_regex") else entries.refused_recipient
            job.add_list(name, convert, text="refused recipients", page="traps.md#classes")
            job.draft.append("traps.lists", name)
    if job.source.value(_DOMAINS) and ini.true("check", "any", default=True):
        job.add_rules(_DOMAINS, "sender", _domain_rule)
        text = "names of clients, HELO and From are not compared with it"
        job.findings.different(job.source.place(_DOMAINS), text, "shipped/regex.md")
    for name in _ALLOWED:
        if job.source.value(name):
            text = "what it allows is not exempt from rules; see unless of [[plugin]]"
            job.findings.left(job.source.place(name), text, "configuration.md#plugin")
    if not any(job.source.value(name) for name in (*_DENIED_RECIPIENTS, _DOMAINS, *_REFUSED)):
        text = f"{used.name}: no list refuses anything"
        job.findings.different(used.place, text, "shipped/regex.md")


def _text(name: str, line: Line, rules: Rules) -> str:
    return rules.rule(name, whole(quoted(line.text)))


def _regex(name: str, line: Line, rules: Rules) -> str:
    return rules.rule(name, whole(line.text))


def _refused_regex(line: Line) -> str:
    return entries.refused_recipients(whole(line.text))


def _domain_rule(name: str, line: Line, rules: Rules) -> str:
    word, _ = first_word(line)
    if word.startswith("!"):
        raise ValueError("expected a domain that is refused; exceptions have no equivalent")
    pattern = whole(quoted(word)) if "@" in word else f"[@.]{quoted(word)}$"
    return rules.rule(name, pattern)


def take_aliases(job: Job, used: Used) -> None:
    """Take the aliases, and the routes of what is dropped."""
    name = "aliases" if job.source.has("aliases") else "aliases.json"
    table = _read_json(job, name)
    if not table:
        job.findings.different(
            used.place, f"{used.name}: there are no aliases", "shipped/aliases.md"
        )
        return
    lines = list(_alias_lines(job, name, table))
    if lines:
        job.draft.texts["aliases"] = "\n".join([f"# from {job.source.place(name)}", *lines, ""])
        job.check("aliases", used, {"tables": ["texthash:aliases"]})
        text = f"{len(lines)} aliases; the subaddress is that of recipients.subaddress"
        job.findings.different(job.source.place(name), text, "shipped/aliases.md")


def _read_json(job: Job, name: str) -> Mapping[str, object]:
    text = "\n".join(line.text for line in job.source.values(name))
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        job.findings.left(job.source.place(name), "expected JSON", "shipped/aliases.md")
        return {}
    return found if isinstance(found, dict) else {}


def _alias_lines(job: Job, name: str, table: Mapping[str, object]) -> Iterator[str]:
    for key, value in table.items():
        what = value if isinstance(value, Mapping) else {}
        members = _members(what.get("to"))
        address = f"u{key}" if key.startswith("@") else key if "@" in key else f"{key}@x.example"
        if not _is_address(address) or what.get("action") != "alias" or not members:
            text = "an alias of another form than alias and to"
            job.findings.left(f"{job.source.place(name)}: {key[:80]}", text, "shipped/aliases.md")
        else:
            yield f"{key.lower()}  {', '.join(members)}"


def _members(to: object) -> list[str]:
    found = [to] if isinstance(to, str) else to if isinstance(to, list) else []
    texts = [one for one in found if isinstance(one, str)]
    is_usable = all(_is_address(one if "@" in one else f"{one}@x.example") for one in texts)
    return texts if is_usable and len(texts) == len(found) else []


def _is_address(text: str) -> bool:
    try:
        Address.parse(text)
    except AddressError:
        return False
    return not re.search(r"[\s,*]", text)


def forwarded_domains(job: Job, ini: Ini) -> None:
    """Take the domains of a queue plugin that also decides about recipients."""
    if ini.true(MAIN, "check_recipient"):
        found = [one for one in ini.sections() if "." in one and "@" not in one]
        for one in found:
            job.draft.append("recipients.domains", one)
        text = f"check_recipient: {len(found)} domains in recipients.domains"
        job.findings.taken(ini.place, text, _PAGE)
