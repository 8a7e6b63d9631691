"""The files of qpsmtpd that belong to no plugin: names, limits, log, clients that relay."""

from collections.abc import Mapping

from gatepost.migration.cdb import records
from gatepost.migration.draft import Table
from gatepost.migration.finish import ADDRESS, set_hostname
from gatepost.migration.job import Job, Used
from gatepost.migration.networks import Network, parse_network, without
from gatepost.migration.source import Line

_LONGEST_TIMEOUT = 3600

# The log level of qpsmtpd, by number and by name.
_LEVELS = {7: "debug", 6: "info", 5: "info", 4: "warning", 3: "error", 2: "error", 1: "error"}
_NAMES = {"debug": 7, "info": 6, "notice": 5, "warn": 4, "error": 3, "crit": 2, "alert": 1}
# Files with nothing to take over, and the reason.
_ELSEWHERE: Mapping[str, tuple[str, str]] = {
    "smtpgreeting": ("the greeting has server.hostname only", "protocol.md"),
    "size_threshold": ("limits.memory_per_message decides", "configuration.md#limits"),
    "spool_dir": ("server.data_dir has the data", "configuration.md#server"),
    "spool_perms": ("server.data_dir has the data", "configuration.md#server"),
    "tls_ciphers": ("tls.minimum decides about ciphers too", "configuration.md#tls"),
    "tls_protocols": ("see tls.minimum", "configuration.md#tls"),
    "plugin_dirs": ("a plugin is named by its path", "plugins.md"),
}


def read(job: Job) -> None:
    """Read the files."""
    set_hostname(job, "me")
    job.draft.listen.append(Table({"address": ADDRESS}))
    text = f"the address is an option of the program of qpsmtpd; here [[listen]] has {ADDRESS}"
    job.findings.different("listen", text, "configuration.md#listen")
    _read_number(job, "databytes", "limits.message_size")
    _read_timeout(job)
    for name, (text, page) in _ELSEWHERE.items():
        line = job.source.value(name)
        if line is not None:
            job.findings.different(line.place, text, page)


def _read_number(job: Job, name: str, path: str) -> None:
    line = job.source.value(name)
    if line is None:
        return
    if not line.text.isascii() or not line.text.isdigit():
        job.findings.bad_line(line.file, line.number, "expected a number of octets")
    elif int(line.text) == 0:
        job.findings.different(line.place, "no limit there; 25MiB here", "configuration.md#limits")
    else:
        job.draft.set(path, int(line.text), line.place)


def _read_timeout(job: Job) -> None:
    line = job.source.value("timeoutsmtpd") or job.source.value("timeout")
    if line is None:
        return
    if not line.text.isascii() or not line.text.isdigit() or int(line.text) == 0:
        job.findings.bad_line(line.file, line.number, "expected a number of seconds")
        return
    seconds = min(int(line.text), _LONGEST_TIMEOUT)
    job.draft.set("limits.command_timeout", f"{seconds}s", line.place)


def read_logging(job: Job) -> None:
    """Read the level of the log: that of a logging plugin, or else that of the program."""
    lines = job.source.values("logging")
    level = next((found for line in lines if (found := _level_in(line))), None)
    program = job.source.value("loglevel")
    if level is None and program is not None:
        level = _level(program.text)
    place = lines[0].place if lines else program.place if program else ""
    if level is not None:
        job.draft.set("log.level", level, place)
    for line in lines:
        text = "the log goes to standard error, or to log.file"
        job.findings.different(line.place, f"{line.text.split()[0]}: {text}", "operation.md#logs")


def _level_in(line: Line) -> str | None:
    return next((found for word in line.text.split() if (found := _level(word))), None)


def _level(word: str) -> str | None:
    """Return the level of a word such as "6" or "LOGINFO", None for another word."""
    if word.isascii() and word.isdigit():
        return _LEVELS.get(min(int(word), 7), "error")
    number = _NAMES.get(word.lower().removeprefix("log")) if word.startswith("LOG") else None
    return None if number is None else _LEVELS[number]


def take_relay(job: Job, used: Used) -> None:
    """Take the clients that may relay, without those that may not."""
    allowed = [*job.relay_networks("relayclients"), *_more_clients(job)]
    forbidden = job.networks("norelayclients")
    networks = without(allowed, forbidden)
    job.relay_for += [str(one) for one in networks]
    if networks:
        text = f"{used.name}: networks that may relay: {len(networks)}"
        job.findings.taken(used.place, text, "relay.md#foreign-domains")
    else:
        job.findings.different(used.place, f"{used.name}: no client may relay", "relay.md")
    if used.options.get("only", "0") != "0":
        text = "only clients that may relay: set recipients.domains = [] for this"
        job.findings.left(used.place, text, "configuration.md#recipients")


def _more_clients(job: Job) -> list[Network]:
    name = "morerelayclients.cdb"
    path = job.source.find(name)
    found: list[Network] = []
    try:
        for key, _ in records(path) if path else ():
            found.append(parse_network(key.decode("ascii", "replace")))
    except (OSError, ValueError) as error:
        job.findings.left(job.source.place(name), str(error))
    return found


def add_relay(job: Job) -> None:
    """Let clients send to other domains by the route of all mail, as qpsmtpd does."""
    for route in job.draft.routes:
        if job.relay_for:
            route.keys["relay_for"] = [*dict.fromkeys(job.relay_for)]
