"""Put a tag such as "[SPAM]" in front of the subject, if a message has points or a result.

A change of the subject invalidates the signatures that cover it. So signed messages are left alone
unless `signed` is set.
"""

import re

from gatepost import MessageTransaction, Plugin, field
from gatepost.plugins._added_fields import Condition
from gatepost.plugins._encoded_words import shown_text
from gatepost.plugins._template import check_field

_LONGEST = 500
# Of replies and forwarded mail, also in other languages.
_PREFIXES = re.compile(r"\s*(?:(?:re|aw|antw|sv|rv|res|fwd?|wg|tr)(?:\[\d{1,3}\])?\s*:\s*)*")


class SubjectTag(Plugin):
    """Adds the result `subject_tag`: "added", "present", "signed" or "failed"."""

    after = frozenset({"score"})
    before = frozenset({"dkim_sign"})

    class Options(Plugin.Options):
        """The tag, and which messages get it."""

        tag: str = "[SPAM]"
        """The text in front of the subject."""
        score: float = 5.0
        """The number of points from which a message gets the tag; 0 for any number."""
        results: dict[str, str] = field(default_factory=dict)
        """Results that a message must have to get the tag, such as `{ dmarc = "fail" }`."""
        signed: bool = False
        """Whether a subject that a DKIM or ARC signature covers is changed, too. The signature is
        then invalid."""

        def __post_init__(self) -> None:
            if not self.tag.strip():
                raise ValueError("tag: expected a text")
            check_field("Subject", self.tag)

    def start(self) -> None:
        """Keep the condition, and the tag as it is compared."""
        options = self.options
        self._condition = Condition(score=options.score or None, results=options.results)
        self._tag = shown_text(options.tag).casefold()

    def on_message(self, tx: MessageTransaction) -> None:
        """Put the tag into the subject."""
        if self._condition.is_met(tx):
            value = self._edit(tx)
            self.metrics.counter("messages", result=value).inc()
            tx.results.replace("subject_tag", value)

    def _edit(self, tx: MessageTransaction) -> str:
        """Return what was done about the subject."""
        try:
            subject = tx.message.headers().get("Subject") or ""
            if self._is_tagged(subject):
                return "present"
            if not self.options.signed and tx.message.signatures_over("Subject"):
                return "signed"
            tx.message.replace_header("Subject", f"{self.options.tag} {subject}".strip())
        except ValueError as error:  # such as a line that is too long
            log = self.log_for(tx)
            log.warning("field not edited", problem=str(error)[:_LONGEST])
            return "failed"
        return "added"

    def _is_tagged(self, subject: str) -> bool:
        """Return whether the tag is at the start, or behind the prefixes of replies."""
        shown = shown_text(subject).casefold()
        prefixes = _PREFIXES.match(shown)
        return shown.startswith(self._tag, prefixes.end() if prefixes else 0)
