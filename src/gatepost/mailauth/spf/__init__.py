"""SPF (RFC 7208): check that a client is permitted to send mail for a domain.

    check = check_host("192.0.2.1", "example.com", "user@example.com", "mail.example.com")
    result = await ask(check, resolver)           # or ask_zone(check, zone)
    result.result, result.reason                  # "fail", "-all of example.com"

Internationalised addresses follow RFC 8616. Received-SPF (RFC 7208 section 9.1) is not written:
Authentication-Results has the same facts. The time of a check (section 4.6.4) is limited by the
program that answers the questions.

Security: all text of records, answers and clients is untrusted. A record is parsed in time linear
in its length. A check asks a bounded number of questions, see `Limits`. Reasons and explanations
are printable ASCII of a bounded length.
"""

from gatepost.mailauth.spf.evaluate import check_host
from gatepost.mailauth.spf.parse import RecordError, is_record, parse_record
from gatepost.mailauth.spf.record import Record
from gatepost.mailauth.spf.result import Limits, SpfResult

__all__ = [
    "Limits",
    "Record",
    "RecordError",
    "SpfResult",
    "check_host",
    "is_record",
    "parse_record",
]
