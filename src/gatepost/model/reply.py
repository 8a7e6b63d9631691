"""SMTP replies: RFC 5321 section 4.2, enhanced status codes of RFC 2034 and RFC 3463.

Security: all replies are encoded here. For any text of a plugin or an administrator the client
receives printable ASCII in well-formed lines of at most MAX_LINE octets. A line break starts a
continuation line; any other control or non-ASCII character becomes `?`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, Self

# RFC 5321 s4.5.3.1.5: a reply line is at most 512 octets, code and CRLF included.
MAX_LINE: Final = 512
MAX_LINES: Final = 100
# A text of this length fits on one line with any codes.
SHORT: Final = 400

_UNPRINTABLE: Final = re.compile(r"[^ -~]")
_ENHANCED: Final = re.compile(r"[245](?:\.[0-9]{1,3}){2}")
# The class of each enhanced code in use: they need no pattern.
_USUAL: Final[dict[str | None, int]] = {
    f"{kind}.{subject}.{detail}": kind
    for kind in (2, 4, 5)
    for subject in range(8)
    for detail in range(20)
}
_CONFIGURED: Final = re.compile(
    r"([2-5][0-9]{2})(?: ([245](?:\.[0-9]{1,3}){2}))?(?: (.*))?", re.DOTALL
)


class Reply:
    """A reply to the client.

    `code` is the three-digit code. `enhanced` is the enhanced status code, always of the same
    class, or None for replies without one (greeting, EHLO, 354). `text` is one line, or several
    separated by line breaks. With `close` the connection is closed after the reply; 421 always
    closes it. `reference` is the reference at the end of the text, "" if there is none.
    """

    __slots__ = ("_encoded", "close", "code", "enhanced", "reference", "text")

    def __init__(
        self,
        code: int,
        text: str,
        enhanced: str | None = None,
        *,
        close: bool = False,
        reference: str = "",
    ) -> None:
        check_codes(code, enhanced)
        self.code = code
        self.enhanced = enhanced
        self.text = text
        self.close = close or code == 421  # RFC 5321 s3.8: this code announces the close
        self.reference = reference
        self._encoded: bytes | None = None

    @property
    def encoded(self) -> bytes:
        """Return the reply as bytes, which are made once, when they are needed."""
        found = self._encoded
        if found is None:
            found = self._encoded = encode(self.code, self.enhanced, self.text)
        return found

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a reply in the form of the configuration, `554 5.7.1 Text`; raises ValueError."""
        match = _CONFIGURED.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"expected a reply such as '554 5.7.1 Text', found {text!r}")
        return cls(int(match[1]), match[3] or "", match[2])

    def closing(self) -> "Reply":
        """Return the same reply with `close` set."""
        if self.close:
            return self
        return Reply(self.code, self.text, self.enhanced, close=True, reference=self.reference)

    def reworded(self, code: int, text: str, enhanced: str | None) -> "Reply":
        """Return an accepting reply with other words."""
        return Reply(code, text, enhanced, close=self.close)

    def with_reference(self, reference: str) -> "Reply":
        """Return the reply with a reference at the end; the last line is shortened to fit.

        A reply that has a reference keeps it.
        """
        if self.reference:
            return self
        lines = self.text.splitlines()[:MAX_LINES] or [""]
        tail = f" [{reference}]"
        lines[-1] = lines[-1][: _room(self.enhanced) - len(tail)] + tail
        text = "\n".join(lines)
        return Reply(self.code, text, self.enhanced, close=self.close, reference=reference)

    def __reduce__(self) -> tuple[object, ...]:
        # a compiled class cannot be pickled without this
        return _restore, (self.code, self.text, self.enhanced, self.close, self.reference)

    def __str__(self) -> str:
        return self.encoded.decode("ascii").rstrip("\r\n").replace("\r\n", "\n")

    def __repr__(self) -> str:
        return f"<Reply {self}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Reply):
            return NotImplemented
        return self.encoded == other.encoded and self.close == other.close

    def __hash__(self) -> int:
        return hash((self.encoded, self.close))


class RecipientReplies(Reply):
    """One reply for each recipient, in the order of RCPT (RFC 2033 section 4.2).

    `each` has the replies, at least one. As a single reply, for logs and plugins, it is the first
    reply that accepts the message, or the first of all if none does.
    """

    __slots__ = ("each",)

    def __init__(self, each: Sequence[Reply]) -> None:
        one = next((reply for reply in each if reply.code < 400), each[0])
        super().__init__(one.code, one.text, one.enhanced, reference=one.reference)
        self.each = tuple(each)
        self._encoded = b"".join(reply.encoded for reply in each)

    def with_reference(self, reference: str) -> Reply:
        """Return the replies with a reference at the end of each refusal that has none."""
        return RecipientReplies(
            [one if one.code < 400 else one.with_reference(reference) for one in self.each]
        )


def _restore(
    code: int,
    text: str,
    enhanced: str | None,
    close: bool,  # noqa: FBT001
    reference: str,
) -> Reply:
    return Reply(code, text, enhanced, close=close, reference=reference)


def check_codes(code: int, enhanced: str | None) -> None:
    """Raise ValueError unless both codes are well formed and of the same class."""
    if _USUAL.get(enhanced) == code // 100:
        return
    if not 200 <= code <= 599:
        raise ValueError(f"expected a reply code from 200 to 599, found {code!r}")
    if enhanced is None:
        return
    if not _ENHANCED.fullmatch(enhanced):
        raise ValueError(f"expected an enhanced status code such as 5.7.1, found {enhanced!r}")
    if int(enhanced[0]) != code // 100:
        raise ValueError(f"enhanced status code {enhanced} does not go with reply code {code}")


def _room(enhanced: str | None) -> int:
    """Return the number of octets of text that fit on a line."""
    return MAX_LINE - len("250-") - (len(enhanced) + 1 if enhanced else 0) - len("\r\n")


def encode(code: int, enhanced: str | None, text: str) -> bytes:
    """Return the lines of a reply as bytes, for any text."""
    if len(text) < SHORT and text.isascii() and text.isprintable():
        line = f"{code} {enhanced} {text}\r\n" if enhanced else f"{code} {text}\r\n"
        return line.encode()
    return b"".join(_lines(code, enhanced, text))


def _lines(code: int, enhanced: str | None, text: str) -> Iterator[bytes]:
    prefix = f"{enhanced} " if enhanced else ""
    room = _room(enhanced)
    lines = text.splitlines()[:MAX_LINES] or [""]
    for number, line in enumerate(lines, start=1):
        separator = " " if number == len(lines) else "-"
        printable = _UNPRINTABLE.sub("?", line)[:room]
        yield f"{code}{separator}{prefix}{printable}\r\n".encode("ascii")
