"""TLS and AUTH of qpsmtpd. Certificates stay where they are; passwords are not copied."""

from pathlib import Path

from gatepost.migration.finish import offer_auth
from gatepost.migration.job import Job, Used
from gatepost.migration.rows import explained, page_of, row_of

_CERT = "ssl/qpsmtpd-server.crt"
_KEY = "ssl/qpsmtpd-server.key"
_PAGE = "configuration.md#tls"


def take_tls(job: Job, used: Used) -> None:
    """Take the certificate."""
    cert, key, *_ = (*used.arguments, _CERT, _KEY)[: max(2, len(used.arguments))]
    paths = [job.source.root.absolute() / one for one in (cert, key)]
    if not all(map(Path.is_file, paths)):
        missing = next(str(one) for one in paths if not one.is_file())
        job.findings.left(used.place, f"{used.name}: no file {missing}: no TLS is offered", _PAGE)
        return
    certificate = {"cert": str(paths[0]), "key": str(paths[1])}
    job.draft.put("tls.certificates", [certificate], used.place)
    job.draft.listen[0].keys["tls"] = "starttls"
    job.findings.taken(used.place, f"{used.name}: STARTTLS with {paths[0]}", _PAGE)
    text = f"{used.name}: certificate and key stay in their files"
    job.findings.different(used.place, text, _PAGE)


def take_flat_file(job: Job, used: Used) -> None:
    """Count the users with a password in clear text; the passwords are not copied."""
    count = sum(1 for _ in job.source.lines("flat_auth_pw"))
    offer_auth(job)
    text = f"{used.name}: {count} users in flat_auth_pw; add each with gatepost users add NAME"
    job.findings.left(used.place, text, "auth.md")


def take_auth(job: Job, used: Used) -> None:
    """Offer AUTH, without the users of another program."""
    row = row_of("qpsmtpd", used.name)
    assert row is not None
    offer_auth(job)
    job.findings.left(used.place, f"{used.name}: {explained(row)}", page_of(row))
