"""The result of DMARC for one message."""

from gatepost.mailauth.dmarc.alignment import Alignment
from gatepost.mailauth.dmarc.record import Policy, Record
from gatepost.model.structs import Frozen


class DmarcResult(Frozen, frozen=True):
    """The findings of DMARC.

    `result` is "pass", "fail", "none", "temperror" or "permerror" (RFC 8601 section 2.7.3), and
    `reason` is why, for people. `domain` is the author domain, `organizational_domain` that of
    it; both are "" if they are not known.

    `policy` is the one for this author domain, one level weaker if the record has `t=y`; None
    if no record applies. `published` is the one in the record, and `tag` its tag: p, sp or np.
    `disposition` is what the domain owner requests for this message: `policy` if it fails, else
    "none".

    `record` is the record that applies, `record_domain` the domain that publishes it. `alignments`
    has the identifiers that were compared. `notes` lists for people what was discarded.
    """

    result: str
    reason: str
    domain: str = ""
    organizational_domain: str = ""
    policy: Policy | None = None
    published: Policy | None = None
    tag: str = ""
    disposition: Policy = "none"
    record: Record | None = None
    record_domain: str = ""
    alignments: tuple[Alignment, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def rua(self) -> tuple[str, ...]:
        """Return the URIs for aggregate reports."""
        return () if self.record is None else self.record.rua

    def is_aligned(self, method: str) -> bool:
        """Return whether an identifier of a method ("spf", "dkim") passed and is aligned."""
        return any(
            one.aligned and one.identifier.result == "pass"
            for one in self.alignments
            if one.identifier.method == method
        )
