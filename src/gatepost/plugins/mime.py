"""Check the MIME structure of messages: each defect has its own reaction (RFC 2045, 2046).

`gatepost.plugins._mime` reads the structure, and `gatepost.plugins._mime_defects` describes the
defects. Trusts: nothing in the message. Limits: `largest`, `parts`, `levels`. It runs in threads of
this plugin.
"""

from gatepost import Decision, MessageTransaction, Plugin, Reaction, Size, blocking
from gatepost.plugins._mime import Limits, read
from gatepost.plugins._mime_defects import DEFECTS, check_body, header_defects
from gatepost.plugins._strictest import strictest

NAME = "mime"
# The option for each limit of the structure, and its description.
EXCEEDED = {
    "parts": ("too_many_parts", "too many parts"),
    "delimiters": ("too_many_parts", "too many lines that begin with --"),
    "depth": ("too_deep", "too many multiparts or messages in each other"),
    "header": ("large_header", "a header that is too large"),
}
_MOST_PARTS, _MOST_LEVELS = 100_000, 100


class Mime(Plugin):
    """Adds a result for each defect, or "clean" or "skipped"."""

    class Options(Plugin.Options):
        """The reaction to each defect, and the limits."""

        after_end: Reaction = Reaction(2)
        """The reaction to a part behind the end of its multipart."""
        bad_encoding: Reaction = Reaction(1)
        """The reaction to an unknown Content-Transfer-Encoding."""
        bad_header: Reaction = Reaction(1)
        """The reaction to a line in a header that is no header field."""
        bad_type: Reaction = Reaction(1)
        """The reaction to a malformed Content-Type."""
        bad_version: Reaction = Reaction("none")
        """The reaction to a MIME-Version other than 1.0."""
        base64: Reaction = Reaction(1)
        """The reaction to malformed base64."""
        duplicate_field: Reaction = Reaction(2)
        """The reaction to a Content field that is there twice, with different values."""
        duplicate_parameter: Reaction = Reaction(1)
        """The reaction to a parameter that is there twice, with different values."""
        encoded_container: Reaction = Reaction(1)
        """The reaction to a multipart or message with a transfer encoding such as base64."""
        external: Reaction = Reaction("none")
        """The reaction to message/external-body."""
        fragment: Reaction = Reaction("deny")
        """The reaction to message/partial: no filter can read a message that is split."""
        long_boundary: Reaction = Reaction(1)
        """The reaction to a boundary of more than 70 characters."""
        long_field: Reaction = Reaction(1)
        """The reaction to a Content field of 4 KiB and more."""
        no_boundary: Reaction = Reaction(2)
        """The reaction to a multipart without a boundary."""
        no_parts: Reaction = Reaction(1)
        """The reaction to a multipart without parts."""
        no_version: Reaction = Reaction("none")
        """The reaction to a multipart or an encoded message without MIME-Version."""
        nul: Reaction = Reaction(2)
        """The reaction to a NUL in a decoded text."""
        odd_boundary: Reaction = Reaction("none")
        """The reaction to a boundary with forbidden characters."""
        odd_delimiter: Reaction = Reaction(1)
        """The reaction to a line that is a boundary with more text behind it."""
        quoted_printable: Reaction = Reaction("none")
        """The reaction to malformed quoted-printable."""
        repeated_boundary: Reaction = Reaction(2)
        """The reaction to a boundary that a multipart shares with one around it."""
        unclosed: Reaction = Reaction("none")
        """The reaction to a multipart without its end."""
        undeclared_8bit: Reaction = Reaction("none")
        """The reaction to octets above 127 in a part with the transfer encoding 7bit, or none."""
        undeclared_8bitmime: Reaction = Reaction("none")
        """The reaction to octets above 127 in a message without BODY=8BITMIME."""
        undeclared_utf8: Reaction = Reaction("none")
        """The reaction to octets above 127 in header fields, without SMTPUTF8."""
        too_many_parts: Reaction = Reaction("deny")
        """The reaction to more than `parts` parts."""
        too_deep: Reaction = Reaction("deny")
        """The reaction to more than `levels` multiparts and messages in each other."""
        large_header: Reaction = Reaction("deny")
        """The reaction to a header of more than 256 KiB."""
        too_large: Reaction = Reaction("none")
        """The reaction to a message with more than `largest` octets, which is not checked."""
        text: str = "Malformed message: {defect}"
        """The reply, with `{defect}`."""
        largest: Size = Size("25MiB")
        """The size of the largest message that is checked."""
        parts: int = 1000
        """The number of parts of a message."""
        levels: int = 20
        """The number of multiparts and messages in each other."""

        def __post_init__(self) -> None:
            if not (1 <= self.parts <= _MOST_PARTS and 1 <= self.levels <= _MOST_LEVELS):
                raise ValueError(
                    f"expected 1 to {_MOST_PARTS} parts and 1 to {_MOST_LEVELS} levels"
                )

    @blocking
    def on_message(self, tx: MessageTransaction) -> Decision | None:
        """Find the defects, add the results, and decide."""
        if tx.message.size > self.options.largest:
            found = {"too_large": "it is too large to be checked"}
        else:
            content = b"".join(tx.message.content())
            found = defects_of(content, Limits(self.options.parts, self.options.levels))
            found = _of_envelope(tx, content, found)
        for name in found or ["clean"]:
            score = self._reaction(name).score if found else 0.0
            self.metrics.counter("results", result=name).inc()
            tx.results.add(NAME, name, score=score)
        return self._decide(found)

    def _reaction(self, name: str) -> Reaction:
        reaction: Reaction = getattr(self.options, name)
        return reaction

    def _decide(self, found: dict[str, str]) -> Decision | None:
        worst = strictest((self._reaction(name), name) for name in found)
        if worst is None:
            return None
        reaction, name = worst
        text = self.options.text.replace("{defect}", found[name])
        return reaction.decide(text, enhanced="5.6.0", reason=name.replace("_", "-"))


def defects_of(content: bytes, limits: Limits) -> dict[str, str]:
    """Return the defects of a message in order, each with its description."""
    structure = read(content, limits)
    if structure.exceeded:
        option, description = EXCEEDED[structure.exceeded]
        return {option: description}
    defects = header_defects(structure)
    for part in structure.parts:
        if not part.is_container:
            check_body(part, part.decoded(), defects)
    return {name: DEFECTS[name] for name in sorted(defects)}


def _of_envelope(tx: MessageTransaction, content: bytes, found: dict[str, str]) -> dict[str, str]:
    """Return the defects with those that depend on the parameters of MAIL (RFC 6152, RFC 6531)."""
    if "SMTPUTF8" in tx.params:
        found = {name: text for name, text in found.items() if name != "undeclared_utf8"}
    declared = tx.params.get("BODY", "7BIT").upper() != "7BIT" or "SMTPUTF8" in tx.params
    if declared or content.isascii():
        return found
    return {**found, "undeclared_8bitmime": "octets above 127 without BODY=8BITMIME"}
