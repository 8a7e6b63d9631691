"""SMTP replies: RFC 5321 section 4.2, enhanced status codes of RFC 2034 and RFC 3463.

Security: the one place where text becomes reply bytes. Whatever a plugin or an administrator puts
into a reply, the client sees printable ASCII in well-formed lines of at most MAX_LINE octets – a
line break starts a continuation line, any other control or non-ASCII character becomes `?`.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Self

# RFC 5321 s4.5.3.1.5: a reply line is at most 512 octets, code and CRLF included.
MAX_LINE = 512
MAX_LINES = 100
# One line for certain, whatever the codes.
SHORT = 400

_UNPRINTABLE = re.compile(r"[^ -~]")
_ENHANCED = re.compile(r"[245](?:\.[0-9]{1,3}){2}")
_CONFIGURED = re.compile(r"([2-5][0-9]{2})(?: ([245](?:\.[0-9]{1,3}){2}))?(?: (.*))?", re.DOTALL)


class Reply:
    """What the client is told.

    `code` is the three-digit code, `enhanced` the enhanced status code (its class always that of
    the code) or None where none belongs (greeting, EHLO, 354), `text` one line or several with
    line breaks between them; `close` asks for the connection to be closed once it is sent.
    `encoded` is the reply as bytes, made once.
    """

    __slots__ = ("close", "code", "encoded", "enhanced", "text")

    def __init__(
        self, code: int, text: str, enhanced: str | None = None, *, close: bool = False
    ) -> None:
        check_codes(code, enhanced)
        self.code = code
        self.enhanced = enhanced
        self.text = text
        self.close = close
        self.encoded = encode(code, enhanced, text)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reply as an administrator writes it: `554 5.7.1 Some text`; raises ValueError."""
        match = _CONFIGURED.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"expected a reply such as '554 5.7.1 Text', found {text!r}")
        return cls(int(match[1]), match[3] or "", match[2])

    def closing(self) -> "Reply":
        """Return the same reply, after which the connection is closed."""
        return self if self.close else Reply(self.code, self.text, self.enhanced, close=True)

    def with_reference(self, reference: str) -> "Reply":
        """Return the same reply with a reference at the end of its last line, which makes room."""
        lines = self.text.splitlines()[:MAX_LINES] or [""]
        tail = f" [{reference}]"
        lines[-1] = lines[-1][: _room(self.enhanced) - len(tail)] + tail
        return Reply(self.code, "\n".join(lines), self.enhanced, close=self.close)

    def __reduce__(self) -> tuple[object, ...]:
        # a compiled class does not know how to be copied to another process by itself
        return _again, (self.code, self.text, self.enhanced, self.close)

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

    `each` are the replies, at least one; where one is asked for – in a log, by a plugin – it is the
    first that took the message, or the first of all if none did.
    """

    __slots__ = ("each",)

    def __init__(self, each: Sequence[Reply]) -> None:
        one = next((reply for reply in each if reply.code < 400), each[0])
        super().__init__(one.code, one.text, one.enhanced)
        self.each = tuple(each)
        self.encoded = b"".join(reply.encoded for reply in each)


def _again(code: int, text: str, enhanced: str | None, close: bool) -> Reply:  # noqa: FBT001
    return Reply(code, text, enhanced, close=close)


@lru_cache(maxsize=256)
def check_codes(code: int, enhanced: str | None) -> None:
    """Raise ValueError unless both codes are well formed and of the same class."""
    if not 200 <= code <= 599:
        raise ValueError(f"expected a reply code from 200 to 599, found {code!r}")
    if enhanced is None:
        return
    if not _ENHANCED.fullmatch(enhanced):
        raise ValueError(f"expected an enhanced status code such as 5.7.1, found {enhanced!r}")
    if int(enhanced[0]) != code // 100:
        raise ValueError(f"enhanced status code {enhanced} does not go with reply code {code}")


def _room(enhanced: str | None) -> int:
    """Return how many octets of text fit on a line."""
    return MAX_LINE - len("250-") - (len(enhanced) + 1 if enhanced else 0) - len("\r\n")


def encode(code: int, enhanced: str | None, text: str) -> bytes:
    """Return the lines of a reply as bytes, whatever is in the text."""
    if len(text) < SHORT and text.isascii() and text.isprintable():
        prefix = f"{code} {enhanced} " if enhanced else f"{code} "
        return f"{prefix}{text}\r\n".encode("ascii")
    return b"".join(_lines(code, enhanced, text))


def _lines(code: int, enhanced: str | None, text: str) -> Iterator[bytes]:
    prefix = f"{enhanced} " if enhanced else ""
    room = _room(enhanced)
    lines = text.splitlines()[:MAX_LINES] or [""]
    for number, line in enumerate(lines, start=1):
        separator = " " if number == len(lines) else "-"
        printable = _UNPRINTABLE.sub("?", line)[:room]
        yield f"{code}{separator}{prefix}{printable}\r\n".encode("ascii")
