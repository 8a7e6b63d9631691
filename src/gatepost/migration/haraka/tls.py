"""TLS and AUTH of Haraka. Certificates stay where they are; passwords are not copied."""

from gatepost.importers.equivalents import Equivalent
from gatepost.migration.finish import offer_auth
from gatepost.migration.haraka.ini import MAIN, read_ini
from gatepost.migration.haraka.settings import is_smtps, port_of
from gatepost.migration.job import Job, Used
from gatepost.migration.rows import explained, page_of, row_of

_PAGE = "configuration.md#tls"
_VERSIONS = {"tlsv1": "1.0", "tlsv1.1": "1.1", "tlsv1.2": "1.2", "tlsv1.3": "1.3"}


def take_tls(job: Job, used: Used) -> None:
    """Take the certificate, the lowest version, and the ports."""
    ini = read_ini(job.source, "tls.ini")
    folder = job.source.folders[0].absolute()
    cert = folder / ini.get("cert", "tls_cert.pem")
    key = folder / ini.get("key", "tls_key.pem")
    if not cert.is_file() or not key.is_file():
        missing = key if cert.is_file() else cert
        job.findings.left(used.place, f"{used.name}: no file {missing}: no TLS is offered", _PAGE)
        return
    job.source.paths += [folder / cert.name, folder / key.name]
    job.draft.put("tls.certificates", [{"cert": str(cert), "key": str(key)}], ini.place)
    minimum = _VERSIONS.get(ini.get("minVersion").lower())
    if minimum:
        job.draft.set("tls.minimum", minimum, ini.place)
    without = {int(one) for one in ini.all(MAIN, "no_starttls_ports") if one.isdecimal()}
    for listen in job.draft.listen:
        if is_smtps(listen, job):
            listen.keys["tls"] = "implicit"
        elif port_of(listen) not in without:
            listen.keys["tls"] = "starttls"
    job.findings.taken(used.place, f"{used.name}: TLS with {cert}", _PAGE)
    job.findings.different(
        used.place, f"{used.name}: certificate and key stay in their files", _PAGE
    )


def take_flat_file(job: Job, used: Used) -> None:
    """Count the users with a password in clear text; the passwords are not copied."""
    ini = read_ini(job.source, "auth_flat_file.ini")
    offer_auth(job)
    count = sum(1 for _ in ini.keys("users"))
    text = f"{used.name}: {count} users in {ini.place}; add each with gatepost users add NAME"
    job.findings.left(used.place, text, "auth.md")


def take_auth(job: Job, used: Used) -> None:
    """Offer AUTH, without the users of another program."""
    row = row_of("haraka", used.name)
    assert isinstance(row, Equivalent)
    offer_auth(job)
    job.findings.left(used.place, f"{used.name}: {explained(row)}", page_of(row))
