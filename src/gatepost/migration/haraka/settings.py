"""The files of Haraka that belong to no plugin: addresses, names, limits, the log."""

from collections.abc import Mapping

from gatepost.migration.draft import Table
from gatepost.migration.finish import set_hostname
from gatepost.migration.haraka.ini import MAIN, Ini, read_ini
from gatepost.migration.job import Job
from gatepost.migration.networks import parse_network

_LISTEN = "[::0]:25"
_SMTPS = 465
_ANY_IPV6 = frozenset({"::0", "::"})
_MOST_WORKERS = 1024
_PAGE = "configuration.md"

_LEVELS: Mapping[str, str] = {
    **dict.fromkeys(("data", "protocol", "debug"), "debug"),
    **dict.fromkeys(("info", "notice"), "info"),
    "warn": "warning",
    **dict.fromkeys(("error", "crit", "alert", "emerg"), "error"),
}
_FORMATS = {"json": "json", "logfmt": "json"}


def read(job: Job) -> None:
    """Read the files."""
    set_hostname(job, "me")
    smtp = read_ini(job.source, "smtp.ini")
    _read_listen(job, smtp)
    _read_server(job, smtp)
    _read_connection(job, read_ini(job.source, "connection.ini"))
    _read_old_files(job)
    _read_log(job, read_ini(job.source, "log.ini"))


def _read_listen(job: Job, smtp: Ini) -> None:
    for text in smtp.all(MAIN, "listen") or [_default_listen(smtp)]:
        for address in _addresses(text):
            job.draft.listen.append(Table({"address": address}, smtp.place))
            job.findings.taken(smtp.place, f"listen.address = {address}", f"{_PAGE}#listen")
    text = "Haraka listens on the same addresses: stop it first, or change [[listen]]"
    job.findings.different(smtp.place, text, f"{_PAGE}#listen")


def _default_listen(smtp: Ini) -> str:
    host, port = smtp.get("listen_host"), smtp.get("port")
    return f"{host or '[::0]'}:{port or 25}" if host or port else _LISTEN


def _addresses(text: str) -> list[str]:
    """Return the addresses here: `[::0]` is every address of IPv6 and of IPv4 for Haraka."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not port.isascii() or not port.isdigit():
        return []
    if host in _ANY_IPV6:
        return [f"0.0.0.0:{port}", f"[::]:{port}"]
    return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"]


def port_of(listen: Table) -> int:
    """Return the port of a listener."""
    return int(str(listen.keys["address"]).rpartition(":")[2])


def is_smtps(listen: Table, job: Job) -> bool:
    """Return whether a listener has TLS from the first octet."""
    return port_of(listen) == (read_ini(job.source, "smtp.ini").number("smtps_port") or _SMTPS)


def _read_server(job: Job, smtp: Ini) -> None:
    nodes = smtp.get("nodes")
    workers = 0 if nodes == "cpus" else smtp.number("nodes", most=_MOST_WORKERS) or 1
    if nodes:
        job.draft.set("server.workers", workers, smtp.place)
    if smtp.get("user"):
        job.draft.set("server.user", smtp.get("user"), smtp.place)
    seconds = smtp.number("inactivity_timeout", most=3600)
    if seconds:
        job.draft.set("limits.command_timeout", f"{seconds}s", smtp.place)


def _read_connection(job: Job, ini: Ini) -> None:
    octets = ini.number("bytes", "max", 2**40)
    if octets:
        job.draft.set("limits.message_size", octets, ini.place)
    hops = ini.number("max_received", "headers", 1000)
    if hops:
        job.draft.set("limits.hops", hops, ini.place)
    if ini.true(MAIN, "strict_rfc1869"):
        job.draft.set("smtp.strict_paths", True, ini.place)
    if ini.true("haproxy", "enabled", default=True):
        proxies = ini.all("haproxy", "hosts")
        listen_from(job, "proxy_from", [one.strip("[]") for one in proxies], ini.place)


def _read_old_files(job: Job) -> None:
    """Read the files of versions before 3.1, each with one value."""
    source = job.source
    for name, path in (("databytes", "limits.message_size"), ("max_received_count", "limits.hops")):
        line = source.value(name)
        if line is not None and line.text.isascii() and line.text.isdigit() and int(line.text):
            job.draft.set(path, int(line.text), line.place)
    if source.has("haproxy_hosts"):
        hosts = [line.text for line in source.values("haproxy_hosts")]
        listen_from(job, "proxy_from", hosts, source.place("haproxy_hosts"))
    if source.has("smtpgreeting"):
        text = "the greeting has server.hostname only"
        job.findings.different(source.place("smtpgreeting"), text, "protocol.md")


def listen_from(job: Job, key: str, hosts: list[str], place: str) -> None:
    """Set networks for all listeners."""
    networks = []
    for one in hosts:
        try:
            networks.append(str(parse_network(one)))
        except ValueError as error:
            job.findings.left(place, f"{key}: {error}", f"{_PAGE}#listen")
    for listen in job.draft.listen if networks else ():
        listen.keys[key] = networks
    if networks:
        job.findings.taken(place, f"listen.{key}: {', '.join(networks)}", f"{_PAGE}#listen")


def _read_log(job: Job, ini: Ini) -> None:
    line = job.source.value("loglevel")
    level = _LEVELS.get(ini.get("level").lower() or (line.text.lower() if line else ""))
    if level:
        job.draft.set("log.level", level, ini.place)
    form = _FORMATS.get(ini.get("format"))
    if form:
        job.draft.set("log.format", form, ini.place)
