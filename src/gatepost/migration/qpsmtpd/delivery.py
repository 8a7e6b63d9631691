"""Queue plugins: the target of accepted mail. The first one that can be used counts."""

from collections.abc import Callable, Mapping

from gatepost.migration.draft import Table
from gatepost.migration.job import Job, Used
from gatepost.migration.services import next_hop
from gatepost.migration.toml import Value

_FIELDS = {"%l": "{local}", "%d": "{domain}", "%u": "{local}@{domain}"}


def take(job: Job, used: Used) -> None:
    """Take the target of a queue plugin."""
    name = used.known.rpartition("/")[2]
    if job.draft.routes:
        text = f"{used.name}: the queue plugin before it has the route"
        job.findings.left(used.place, text, "delivery.md")
        return
    keys = _TARGETS[name](used)
    if keys is None:
        job.findings.left(used.place, f"{used.name}: the arguments are wrong", "delivery.md")
        return
    job.draft.routes.append(Table({"for": ["*"], **keys}, used.place))
    job.findings.taken(used.place, f"{used.name}: route to {keys['to']}", "delivery.md")
    if name in _CHANGED:
        job.findings.different(used.place, f"{used.name}: {_CHANGED[name]}", "delivery.md")


def _forward(used: Used) -> dict[str, Value] | None:
    host, *more = used.arguments or ("",)
    port = more[0] if more else "25"
    target = next_hop("smtp", host, port)
    if target is None:
        return None
    keys: dict[str, Value] = {"to": target}
    if "xclient" in more:
        keys["client"] = {"forward": "xclient"}
    return keys


def _maildir(used: Used) -> dict[str, Value] | None:
    folder, *more = used.arguments or ("",)
    path = "/".join([folder.rstrip("/"), *more[:1]])
    for field, ours in _FIELDS.items():
        path = path.replace(field, ours)
    return {"to": f"maildir:{path}"} if folder.startswith("/") else None


def _qmail(used: Used) -> dict[str, Value] | None:
    path = used.first("/var/qmail/bin/qmail-queue")
    return {"to": f"qmail-queue:{path}"} if path.startswith("/") else None


def _sendmail(_used: Used) -> dict[str, Value] | None:
    return {"to": "sendmail:/usr/sbin/sendmail"}


_TARGETS: Mapping[str, Callable[[Used], dict[str, Value] | None]] = {
    "smtp-forward": _forward,
    "maildir": _maildir,
    "qmail-queue": _qmail,
    "postfix-queue": _sendmail,
    "exim-bsmtp": _sendmail,
}
_CHANGED = {
    "smtp-forward": "the next hop is asked about each recipient at RCPT, see client.verify",
    "postfix-queue": "mail goes to the program sendmail, as of any other program",
    "exim-bsmtp": "mail goes to the program sendmail, as of any other program",
}
