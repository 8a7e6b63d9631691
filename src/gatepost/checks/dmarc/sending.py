"""Send aggregate reports by mail: RFC 9990.

Each report is handed to a mail server, which delivers it. The server must permit this machine to
send to other domains.

Security: who gets a report is decided by records of the domains concerned
(`gatepost.mailauth.dmarc.destinations`). Limits: MOST_SENT messages of one call, so that mail with
invented From fields does not make this server a source of mail; MOST_OCTETS of a report.
"""

import smtplib
from collections.abc import Iterator, Mapping, Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import NamedTuple

import msgspec

from gatepost.checks.dmarc.files import Written
from gatepost.mailauth.dmarc.destinations import Destinations, find_destinations
from gatepost.net.ask import ask
from gatepost.net.resolver import Resolver

MOST_SENT = 1000
# The size that RFC 9990 recommends receivers to accept.
MOST_OCTETS = 10_000_000
TIMEOUT = 60.0


class Sent(msgspec.Struct, frozen=True):
    """The result for a report and an address; `problem` is "" if the mail server has taken it."""

    domain: str
    address: str
    file: str
    problem: str = ""


async def destinations(reports: Sequence[Written], resolver: Resolver) -> dict[str, Destinations]:
    """Return who may get the reports about each policy domain."""
    return {
        domain: await ask(find_destinations(domain), resolver, limit=TIMEOUT)
        for domain in dict.fromkeys(one.domain for one in reports)
    }


class Reporter(NamedTuple):
    """The host name of this server, and the address that sends and answers questions."""

    name: str
    email: str


def send(
    reports: Sequence[Written],
    found: Mapping[str, Destinations],
    via: tuple[str, int],
    reporter: Reporter,
) -> Iterator[Sent]:
    """Hand the reports to the mail server `via`; raises OSError and `smtplib.SMTPException`."""
    with smtplib.SMTP(*via, local_hostname=reporter.name, timeout=TIMEOUT) as server:
        for number, (one, address, problem) in enumerate(_planned(reports, found)):
            limit = f"not sent: only {MOST_SENT} reports are sent at a time"
            known = problem or (limit if number >= MOST_SENT else "")
            result = known or _send(server, one, address, reporter)
            yield Sent(one.domain, address, one.path.name, result)


def _planned(
    reports: Sequence[Written], found: Mapping[str, Destinations]
) -> Iterator[tuple[Written, str, str]]:
    """Yield each report with an address, or with the reason why it has none."""
    for one in reports:
        to = found[one.domain]
        yield from ((one, address, "") for address in to.addresses)
        yield from ((one, "", problem) for problem in to.problems)


def _send(server: smtplib.SMTP, one: Written, address: str, reporter: Reporter) -> str:
    """Send one report; return the problem, "" without one."""
    octets = one.path.read_bytes()
    if len(octets) > MOST_OCTETS:
        return f"not sent: {len(octets)} octets, expected at most {MOST_OCTETS}"
    message = _message(one, octets, address, reporter)
    try:
        server.send_message(message, reporter.email, [address])
    except smtplib.SMTPRecipientsRefused as error:
        return _reply(*error.recipients[address])
    except smtplib.SMTPResponseException as error:
        return _reply(error.smtp_code, error.smtp_error)
    return ""


def _reply(code: int, text: bytes | str) -> str:
    return f"{code} {text.decode(errors='replace') if isinstance(text, bytes) else text}"


def _message(one: Written, octets: bytes, address: str, reporter: Reporter) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = reporter.email, address
    message["Subject"] = (
        f"Report Domain: {one.domain} Submitter: {reporter.name} Report-ID: {one.report_id}"
    )
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=reporter.name)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(f"Aggregate report about mail with {one.domain} in the From field.\n")
    message.add_attachment(octets, "application", "gzip", filename=one.path.name)
    return message
