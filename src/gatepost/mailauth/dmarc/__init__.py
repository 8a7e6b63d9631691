"""DMARC: RFC 9989.

`evaluate_message` checks a message by its header block and the results of SPF and DKIM,
`evaluate_author` by what `read_author` has found in it, `evaluate` by an author domain.
`parse_record` reads a policy record. `report_lines` of `gatepost.mailauth.dmarc.report` builds an
aggregate report; none is sent.
"""

from gatepost.mailauth.dmarc.alignment import Alignment, Identifier
from gatepost.mailauth.dmarc.author import Author, read_author
from gatepost.mailauth.dmarc.evaluate import evaluate, evaluate_author, evaluate_message
from gatepost.mailauth.dmarc.record import Record, parse_record
from gatepost.mailauth.dmarc.result import DmarcResult

__all__ = [
    "Alignment",
    "Author",
    "DmarcResult",
    "Identifier",
    "Record",
    "evaluate",
    "evaluate_author",
    "evaluate_message",
    "parse_record",
    "read_author",
]
