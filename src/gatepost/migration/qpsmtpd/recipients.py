"""Recipients: domains, traps, and addresses that are refused."""

import re
from collections.abc import Iterator
from itertools import chain

from gatepost.lists.domains import parse_domain_line
from gatepost.migration import entries
from gatepost.migration.cdb import records
from gatepost.migration.job import Job, Used
from gatepost.migration.rules import first_word, quoted
from gatepost.migration.source import Line
from gatepost.migration.toml import Value

_TRAPS = "verybadrcptto"
_BAD = "badrcptto"
_DOMAINS = "rcpthosts"
_MORE_DOMAINS = "morercpthosts.cdb"
# The characters by which qpsmtpd recognises a regular expression, without those of addresses.
_PATTERN = re.compile(r"[/^$*?\\]")
_EXISTS = frozenset({"ok", "declined"})


def take_domains(job: Job, used: Used) -> None:
    """Take the domains: `me`, `rcpthosts` and `morercpthosts.cdb`."""
    source = job.source
    hostname = job.draft.get("server.hostname")
    domains: list[Value] = [hostname] if hostname else []
    for name, to, lines in (
        (_DOMAINS, _DOMAINS, None),
        (_MORE_DOMAINS, "morercpthosts", lambda: _keys(job)),
    ):
        if source.has(name) and (lines or source.value(name)):
            domains.append(f"file:{to}")
            page = "configuration.md#recipients"
            job.add_list(name, entries.domain, text="domains", page=page, to=to, lines=lines)
    job.draft.put("recipients.domains", domains, used.place)


def _keys(job: Job) -> Iterator[Line]:
    path = job.source.find(_MORE_DOMAINS)
    shown = job.source.place(_MORE_DOMAINS)
    try:
        for number, (key, _) in enumerate(records(path) if path else (), start=1):
            yield Line(key.decode("ascii", "replace"), shown, number)
    except (OSError, ValueError) as error:
        job.findings.left(shown, str(error))


def take_traps(job: Job, used: Used) -> None:
    """Take the honeypot addresses: a message to one of them is refused for all recipients."""
    if job.is_empty(_TRAPS, used, "traps.md#trap-lists"):
        return
    job.add_list(_TRAPS, entries.trap, text="traps", page="traps.md#trap-lists")
    job.draft.append("traps.lists", _TRAPS)
    text = f"{used.name}: no order of plugins changes it, the reply is that of traps.reply"
    job.findings.different(used.place, text, "traps.md#migrating-from-qpsmtpds-check_verybadrcptto")


def take_refused(job: Job, used: Used) -> None:
    """Take the recipients that are refused, as traps that refuse only themselves."""
    if job.is_empty(_BAD, used, "traps.md#classes"):
        return
    job.add_list(_BAD, _refused, text="refused recipients", page="traps.md#classes")
    job.draft.append("traps.lists", _BAD)
    text = f"{used.name}: they are traps of the class recycled, which refuse only themselves"
    job.findings.different(used.place, text, "traps.md#classes")


def _refused(line: Line) -> str:
    word, note = first_word(line)
    return entries.refused_recipients(word, note) if is_pattern(word) else _plain(line)


def _plain(line: Line) -> str:
    if "@" not in line.text:
        raise ValueError("expected an address, or a domain such as @example.com")
    return entries.refused_recipient(line)


def is_pattern(word: str) -> bool:
    """Return whether an entry is a regular expression for qpsmtpd."""
    return _PATTERN.search(word) is not None or ("@" not in word and bool(re.search("[+!%]", word)))


def take_known(job: Job, used: Used) -> None:
    """Take the addresses that exist in one domain, and accept all addresses of the others."""
    options = used.options
    name, domain = options.get("file", ""), options.get("domain", "").lower()
    if not name or not domain or not job.source.has(name):
        text = f"{used.name}: expected file NAME and domain NAME"
        job.findings.left(used.place, text, "configuration.md#recipients")
        return
    to = f"{name.rpartition('/')[2]}.known"
    job.add_list(
        name,
        lambda line: _known(line, job.source.place(name), domain),
        text="recipients that exist",
        page="configuration.md#recipients",
        to=to,
        lines=lambda: chain(job.source.lines(name), job.source.lines(_DOMAINS), _keys(job)),
    )
    job.draft.append("recipients.known", f"file:{to}")


def _known(line: Line, file: str, domain: str) -> str:
    word, rest = first_word(line)
    if line.file == file:
        code = rest.split()[0].lower() if rest else ""
        return entries.address_or_domain(Line(word, *line[1:])) if code in _EXISTS else ""
    found = parse_domain_line(line.text, line.file, line.number) or ""
    if found.startswith("."):
        return f"/@.*{quoted(found)}$/"
    return "" if found == domain else f"@{found}"
