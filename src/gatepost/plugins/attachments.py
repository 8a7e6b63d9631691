"""Refuse messages with forbidden files: by name, by content, in archives, hidden or not.

The names are those that three different readers of MIME see, so that a name must be hidden from all
of them. Archives are listed in memory. Nothing is removed from a message, because that would
invalidate its signatures: it is refused, held, or marked with a header field.

Trusts: nothing in the message. Limits: `largest`, `parts`, `levels`, and those of archives. It runs
in threads of this plugin; each needs about three times the size of its message.
"""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any, Literal

from gatepost import (
    Decision,
    Duration,
    MessageTransaction,
    Plugin,
    Reaction,
    RegexList,
    Size,
    blocking,
)
from gatepost.plugins import _archives, _file_types, _mime_readers, _rar
from gatepost.plugins._attachments import Finding, Inspection, Policy
from gatepost.plugins._file_names import AFTER_DOCUMENTS, FORBIDDEN
from gatepost.plugins._mime import Limits
from gatepost.plugins._strictest import strictest
from gatepost.plugins._unpacking import Budget

NAME = "attachments"
LIBRARIES = tuple(one.LIBRARY for one in (_mime_readers, _file_types, _archives, _rar))
Kind = Literal[
    "extension", "not_allowed", "content", "double", "deceptive", "encrypted", "broken",
    "nested", "bomb", "oversized", "slow", "tnef", "malformed", "too_complex",
]  # fmt: skip
# The reason in the reply. `{detail}` is what was found.
REASONS: dict[str, str] = {
    "extension": "files of the type {detail} are not accepted",
    "not_allowed": "files of this type are not accepted",
    "content": "its content is of the type {detail}, which is not accepted",
    "double": "its name has the extension of a document and another one",
    "deceptive": "its name has characters that hide its type",
    "encrypted": "it is protected by a password",
    "broken": "it cannot be read",
    "nested": "it has too many archives in each other",
    "bomb": "it would be too large when unpacked",
    "oversized": "it has too many or too large files",
    "slow": "it takes too long to read it, try again later",
    "tnef": "files of the type TNEF are not accepted",
    "malformed": "{detail}",
    "too_complex": "too many parts, or too deep",
}
_MOST_RESULTS = 20
_MOST_MARKS = 5


class Attachments(Plugin):
    """Adds a result for each finding, or "clean", "none" or "skipped"."""

    keeps_decisions = True

    class Options(Plugin.Options):
        """The forbidden files, the reactions, and the limits."""

        extensions: tuple[str, ...] = FORBIDDEN
        """The forbidden extensions, also of files in archives."""
        more_extensions: tuple[str, ...] = ()
        """Extensions that are forbidden in addition to `extensions`."""
        allowed: tuple[str, ...] = ()
        """The only extensions that are allowed. Without any, all are that are not forbidden."""
        after_documents: tuple[str, ...] = AFTER_DOCUMENTS
        """Extensions that may follow that of a document, such as `zip` in `report.pdf.zip`."""
        exempt: RegexList = RegexList()
        """Names of files that are not checked."""
        extension: Reaction = Reaction("deny")
        """The reaction to a forbidden extension."""
        not_allowed: Reaction = Reaction("deny")
        """The reaction to an extension that is not among `allowed`."""
        content: Reaction = Reaction("deny")
        """The reaction to a file whose content is a program, or of a forbidden type."""
        double: Reaction = Reaction(3)
        """The reaction to the extension of a document in front of another one."""
        deceptive: Reaction = Reaction("deny")
        """The reaction to a name with characters that change the order in which it is shown."""
        encrypted: Reaction = Reaction(3)
        """The reaction to an archive with a password."""
        broken: Reaction = Reaction(2)
        """The reaction to an archive that cannot be read, or is none."""
        nested: Reaction = Reaction("deny")
        """The reaction to archives in each other that are deeper than `depth`, or in 7z or RAR."""
        bomb: Reaction = Reaction("deny")
        """The reaction to an archive beyond `unpacked` with a higher ratio than `ratio`."""
        oversized: Reaction = Reaction("deny")
        """The reaction to archives beyond `entries` or `unpacked`."""
        slow: Reaction = Reaction("defer")
        """The reaction to archives that take longer than `seconds` to read."""
        tnef: Reaction = Reaction("none")
        """The reaction to a file of the type TNEF (winmail.dat)."""
        malformed: Reaction = Reaction(2)
        """The reaction to a message that readers read differently, so that a file can be hidden."""
        too_complex: Reaction = Reaction("deny")
        """The reaction to a message beyond `parts` or `levels`, or with a header above 256 KiB."""
        too_large: Reaction = Reaction("deny")
        """The reaction to a message with more than `largest` octets, which is not checked."""
        mark_header: str = ""
        """A header field with the findings of a message that is accepted; "" for none. Fields of
        this name that the client has sent are removed."""
        mark_subject: str = ""
        """A text in front of the subject of such a message, such as "[ATTACHMENT]"."""
        text: str = "Attachment {name} refused: {reason}"
        """The reply, with `{name}` and `{reason}`."""
        largest: Size = Size("25MiB")
        """The size of the largest message that is checked."""
        parts: int = 1000
        """The number of parts of a message."""
        levels: int = 20
        """The number of multiparts and messages in each other."""
        depth: int = 3
        """The number of archives, or attached messages, in each other."""
        entries: int = 10_000
        """The number of files in all archives of a message."""
        unpacked: Size = Size("200MiB")
        """The number of octets that are unpacked for a message."""
        ratio: int = 200
        """The ratio of unpacked to packed octets that an archive beyond `unpacked` may have."""
        seconds: Duration = Duration("10s")
        """The time for the archives of a message."""

        def __post_init__(self) -> None:
            for name in ("parts", "levels", "depth", "entries", "ratio"):
                if not 1 <= getattr(self, name) <= _MOST[name]:
                    raise ValueError(f"{name}: expected 1 to {_MOST[name]}")
            if not self.seconds > 0:
                raise ValueError("seconds: expected more than 0 seconds")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        missing = [one for one in LIBRARIES if find_spec(one) is None]
        if missing:
            names = ", ".join(missing)
            raise ValueError(f"it needs {names}: pip install 'gatepost[attachments]'")
        given = self.options
        self._policy = Policy(
            forbidden=_extensions([*given.extensions, *given.more_extensions]),
            allowed=_extensions(given.allowed),
            after_documents=_extensions(given.after_documents),
            is_exempt=lambda name: given.exempt.match(name) is not None,
            depth=given.depth,
            limits=Limits(parts=given.parts, depth=given.levels),
        )

    @blocking
    def on_message(self, tx: MessageTransaction) -> Decision | None:
        """Inspect the files, add the results, and decide."""
        if tx.message.size > self.options.largest:
            return self._skip(tx)
        inspection = Inspection(self._policy, self._budget())
        inspection.message(b"".join(tx.message.content()))
        findings = list(inspection.findings)
        self._record(tx, findings, inspection.files)
        return self._decide(tx, findings)

    def _budget(self) -> Budget:
        given = self.options
        return Budget(given.entries, given.unpacked, given.ratio, given.seconds)

    def _reaction(self, finding: Finding) -> Reaction:
        reaction: Reaction = getattr(self.options, finding.kind)
        return reaction

    def _skip(self, tx: MessageTransaction) -> Decision | None:
        reaction = self.options.too_large
        self._add(tx, "skipped", score=reaction.score, reason="too large")
        text = "Message is too large to be checked"
        codes = {"code": 552} if reaction.word == "deny" else {}
        return reaction.decide(text, enhanced="5.3.4", reason="too-large", **codes)

    def _record(self, tx: MessageTransaction, findings: list[Finding], files: int) -> None:
        """Add a result for each finding; the points of a kind are those of one finding."""
        scored = set[str]()
        for one in findings[:_MOST_RESULTS]:
            score = 0.0 if one.kind in scored else self._reaction(one).score
            scored.add(one.kind)
            self._add(tx, one.kind, name=one.name, detail=one.detail, score=score)
        if not findings:
            self._add(tx, "clean" if files else "none", files=files)

    def _add(self, tx: MessageTransaction, value: str, **facts: str | float) -> None:
        self.metrics.counter("results", result=value).inc()
        tx.results.add(NAME, value, **facts)

    def _decide(self, tx: MessageTransaction, findings: list[Finding]) -> Decision | None:
        decision = self._strictest(findings)
        if decision is None or not decision.refuses:
            self._mark(tx, findings)
        return decision

    def _strictest(self, findings: list[Finding]) -> Decision | None:
        found = strictest((self._reaction(one), one) for one in findings)
        if found is None:
            return None
        reaction, finding = found
        return reaction.decide(self._text(finding), reason=finding.kind.replace("_", "-"))

    def _text(self, finding: Finding) -> str:
        reason = REASONS[finding.kind].replace("{detail}", finding.detail)
        text = self.options.text.replace("{reason}", reason)
        return text.replace("{name}", finding.name or "(without a name)")

    def _mark(self, tx: MessageTransaction, findings: list[Finding]) -> None:
        header, subject = self.options.mark_header, self.options.mark_subject
        if header:
            tx.message.remove_header(header)
        if header and findings:
            tx.message.add_header(header, _marks(findings))
        if subject and findings:
            former = tx.message.headers().get("Subject") or ""
            tx.message.replace_header("Subject", f"{subject} {former}")


_MOST = {"parts": 100_000, "levels": 100, "depth": 20, "entries": 1_000_000, "ratio": 1_000_000}


def _extensions(names: Iterable[str]) -> frozenset[str]:
    return frozenset(one.lower().lstrip(".") for one in names)


def _marks(findings: list[Finding]) -> str:
    """Return the value of the header field: kinds and names in ASCII."""
    kinds = dict.fromkeys(f"{one.kind} ({one.name})" if one.name else one.kind for one in findings)
    text = ", ".join(list(kinds)[:_MOST_MARKS])
    return text.encode("ascii", "replace").decode("ascii")
