"""One part of a message: its header fields, and its body.

Trusts: nothing; see `gatepost.plugins._mime_fields` and `gatepost.plugins._mime_decoding`.
"""

from gatepost.plugins._mime_decoding import IDENTITY, PIECE, Decoded, decode
from gatepost.plugins._mime_fields import as_text, media_type, read_fields, values, word

# No character needs more octets, encoded, apart from line breaks that are not part of the text.
_OCTETS = 16
MESSAGES = frozenset({"message/rfc822", "message/global", "message/news"})


class Part:
    """A part: its header fields, and its body as octets of `content[start:end]`.

    `kind` is its type, such as "text/plain"; `encoding` and `charset` are in lower case. `depth` is
    the number of multiparts and messages around it.
    """

    __slots__ = (
        *("block", "content", "depth", "encoding", "end", "fields", "kind"),
        "start",
    )

    def __init__(self, content: bytes, start: int, depth: int, block: bytes, usual: str) -> None:
        self.content = content
        self.start = self.end = start
        self.depth = depth
        self.block = block
        self.fields = read_fields(block)
        self.kind = self._kind(usual)
        self.encoding = self._encoding()

    def _kind(self, usual: str) -> str:
        kinds = [media_type(one) for one in self.all("content-type")]
        multiparts = [one for one in kinds if one.startswith("multipart/")]
        return next(filter(None, multiparts + kinds), usual)

    def _encoding(self) -> str:
        """Return the encoding; of several ones, one that changes the body."""
        found = [word(one) for one in self.all("content-transfer-encoding")] or [""]
        return next((one for one in found if one not in IDENTITY), found[0])

    @property
    def charset(self) -> str:
        """Return the character set in lower case, "" without one."""
        return next(iter(self.parameters("content-type", "charset")), "").lower()

    def all(self, name: str) -> list[str]:
        """Return the values of all fields of a name, which is in lower case."""
        return [field.value for field in self.fields if field.name == name]

    def parameters(self, name: str, *parameters: str) -> list[str]:
        """Return the values that parameters of the fields of a name can have."""
        return [one for value in self.all(name) for one in values(value, *parameters)]

    @property
    def names(self) -> list[str]:
        """Return the names of the file that some reader could see."""
        found = self.parameters("content-disposition", "filename", "name")
        found += self.parameters("content-type", "name", "filename")
        return list(dict.fromkeys(found))

    @property
    def is_container(self) -> bool:
        """Return whether it consists of other parts."""
        return self.kind.startswith("multipart/") or self.kind in MESSAGES

    @property
    def body(self) -> bytes:
        """Return the body as it is."""
        return self.content[self.start : self.end]

    @property
    def is_ascii(self) -> bool:
        """Return whether the body has no octets above 127."""
        pieces = range(self.start, self.end, PIECE)
        return all(self.content[at : min(at + PIECE, self.end)].isascii() for at in pieces)

    def decoded(self) -> Decoded:
        """Return the body without its transfer encoding."""
        return decode(self.content, self.encoding, self.start, self.end)

    def text(self, limit: int) -> str:
        """Return the first characters of the body as text, at most `limit`."""
        end = min(self.end, self.start + limit * _OCTETS)
        octets = decode(self.content, self.encoding, self.start, end).octets
        return as_text(octets, self.charset)[:limit]
