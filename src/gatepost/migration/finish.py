"""The parts that every configuration needs, also where the other server has left them open."""

from gatepost.migration.draft import Draft, Table
from gatepost.migration.job import AUTHENTICATED, Job
from gatepost.model.address import AddressError, parse_domain

# The address of the starter configuration.
ADDRESS = "127.0.0.1:2525"
# The route of a server whose queue plugin has no equivalent.
_MAILDIR = "maildir:var/mail/{domain}/{local}"
_NO_DOMAIN = "no domain was found: set recipients.domains"
_NO_NAME = "the name of the machine is not looked up here: set server.hostname"


def set_hostname(job: Job, name: str) -> str:
    """Set the name of the server from the first line of a file; return it, "" without one."""
    line = job.source.value(name)
    if line is None:
        job.findings.different(job.source.place(name), _NO_NAME, "configuration.md#server")
        return ""
    try:
        parse_domain(line.text)
    except AddressError:
        job.findings.bad_line(line.file, line.number, "expected a name such as mx.example.com")
        return ""
    job.draft.set("server.hostname", line.text, line.place)
    return line.text


def offer_auth(job: Job) -> None:
    """Offer AUTH on the listeners with TLS, with an empty file of users, and let users relay."""
    if not job.draft.get("auth.users"):
        job.draft.put("auth.users", "users.auth")
        job.draft.texts["users.auth"] = "# gatepost users add NAME adds a user\n"
        job.draft.private.add("users.auth")
        job.relay_for.insert(0, AUTHENTICATED)


def complete(job: Job) -> None:
    """Add a domain and a route if there is none, and what was gathered from several files."""
    add_missing(job.draft)
    if job.draft.get("auth.users"):
        _offer_on_listeners(job)
    job.apply_exemptions()


def add_missing(draft: Draft) -> None:
    """Add a listener, a domain and a route if there is none."""
    if not draft.listen:
        draft.listen.append(Table({"address": ADDRESS}))
        draft.findings.left("listen", f"no address: {ADDRESS} is used", "configuration.md#listen")
    if not draft.get("recipients.domains"):
        draft.put("recipients.domains", ["localhost"], _NO_DOMAIN)
        draft.findings.left("recipients", _NO_DOMAIN, "configuration.md#recipients")
    if not draft.routes:
        draft.routes.append(Table({"for": ["*"], "to": _MAILDIR}))
        text = "no queue plugin with an equivalent: mail goes to Maildirs in var/mail"
        draft.findings.left("route", text, "delivery.md")


def _offer_on_listeners(job: Job) -> None:
    secured = [one for one in job.draft.listen if one.keys.get("tls", "none") != "none"]
    for listen in secured:
        listen.keys["auth"] = True
    if not secured:
        text = "AUTH is not offered without TLS: set listen.tls and listen.auth"
        job.findings.left("listen", text, "auth.md")
