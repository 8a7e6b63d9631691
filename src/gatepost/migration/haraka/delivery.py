"""Queue plugins: the targets of accepted mail."""

from collections.abc import Callable, Iterator, Mapping

from gatepost.migration.draft import Table
from gatepost.migration.haraka.ini import MAIN, Ini, read_ini
from gatepost.migration.haraka.recipients import forwarded_domains
from gatepost.migration.job import Job, Used
from gatepost.migration.services import next_hop
from gatepost.migration.toml import Value

_QMAIL = "/var/qmail/bin/qmail-queue"


def take(job: Job, used: Used) -> None:
    """Take the targets of a queue plugin. The first one that has any counts."""
    if any(route.keys["for"] == ["*"] for route in job.draft.routes):
        text = f"{used.name}: the queue plugin before it has the route"
        job.findings.left(used.place, text, "delivery.md")
        return
    routes = list(_TARGETS[used.known.rpartition("/")[2]](job, used))
    job.draft.routes += routes
    for route in routes:
        where = ", ".join(map(str, _patterns(route)))
        text = f"{used.name}: route of {where} to {route.keys['to']}"
        job.findings.taken(used.place, text, "delivery.md")
        if str(route.keys["to"]).startswith(("smtp:", "lmtp:")):
            text = f"{used.name}: the next hop is asked about each recipient at RCPT"
            job.findings.different(used.place, text, "relay.md#call-ahead")


def _patterns(route: Table) -> list[Value]:
    found = route.keys["for"]
    return found if isinstance(found, list) else []


def _forward(job: Job, _used: Used) -> Iterator[Table]:
    ini = read_ini(job.source, "smtp_forward.ini")
    forwarded_domains(job, ini)
    yield from _hops(job, ini, "smtp", 25)


def _proxy(job: Job, _used: Used) -> Iterator[Table]:
    yield from _hops(job, read_ini(job.source, "smtp_proxy.ini"), "smtp", 25)


def _lmtp(job: Job, _used: Used) -> Iterator[Table]:
    yield from _hops(job, read_ini(job.source, "lmtp.ini"), "lmtp", 24)


def _hops(job: Job, ini: Ini, scheme: str, port: int) -> Iterator[Table]:
    """Yield the routes of the sections, then that of `main`."""
    for section in (*(one for one in ini.sections() if "." in one), MAIN):
        target = _target(ini, section, scheme, port)
        if target is None:
            text = f"{section}: expected a host and a port"
            job.findings.left(ini.place, text, "relay.md")
            continue
        keys: dict[str, Value] = {"for": ["*"] if section == MAIN else [section], "to": target}
        if scheme == "smtp" and not ini.true(section, "enable_tls"):
            keys["client"] = {"tls": "none"}
        yield Table(keys, ini.place)
        if ini.get("auth_user", section=section):
            text = f"{section}: the user and the password are not copied; see client.user"
            job.findings.left(ini.place, text, "relay.md#authentication")


def _target(ini: Ini, section: str, scheme: str, port: int) -> str | None:
    path = ini.get("path", section=section)
    if path.startswith("/"):
        return f"{scheme}:unix:{path}"
    host = ini.get("host", "127.0.0.1" if scheme == "lmtp" else "localhost", section)
    number = ini.get("port", str(port), section)
    return next_hop(scheme, host, number)


def _qmail(job: Job, _used: Used) -> Iterator[Table]:
    line = job.source.value("qmail-queue.path")
    path = line.text if line and line.text.startswith("/") else _QMAIL
    yield Table({"for": ["*"], "to": f"qmail-queue:{path}"}, line.place if line else "")


def _discard(_job: Job, used: Used) -> Iterator[Table]:
    yield Table({"for": ["*"], "to": "discard:"}, used.place)


def _test(_job: Job, used: Used) -> Iterator[Table]:
    yield Table({"for": ["*"], "to": "file:var/mail"}, used.place)


_TARGETS: Mapping[str, Callable[[Job, Used], Iterator[Table]]] = {
    "smtp_forward": _forward,
    "smtp_proxy": _proxy,
    "lmtp": _lmtp,
    "qmail-queue": _qmail,
    "discard": _discard,
    "test": _test,
}
