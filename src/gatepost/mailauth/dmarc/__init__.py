"""DMARC: RFC 9989.

`evaluate_message` checks a message by its header block and the results of SPF and DKIM, `evaluate`
does the same for an author domain. `parse_record` reads a policy record. Reports are not sent.
"""

from gatepost.mailauth.dmarc.alignment import Alignment, Identifier
from gatepost.mailauth.dmarc.author import Author, read_author
from gatepost.mailauth.dmarc.evaluate import evaluate, evaluate_message
from gatepost.mailauth.dmarc.record import Record, parse_record
from gatepost.mailauth.dmarc.result import DmarcResult

__all__ = [
    "Alignment",
    "Author",
    "DmarcResult",
    "Identifier",
    "Record",
    "evaluate",
    "evaluate_message",
    "parse_record",
    "read_author",
]
