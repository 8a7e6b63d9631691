"""Read a message from a file for the checks: its header block, its signatures, its body hashes.

The body is hashed while it is read, and not kept. Lines that end in LF are read as lines in CRLF,
because that is how programs save a message that was received in CRLF.

Security: the message is untrusted.

Limits: a header block of MAX_HEADER octets.
"""

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from gatepost.mailauth.arc import Chain, read_chain
from gatepost.mailauth.dkim import BodyHashes, HeaderBlock, Signature, read_signatures
from gatepost.mailauth.dmarc import Author, read_author

MAX_HEADER = 1024 * 1024

_CHUNK = 64 * 1024
_END = b"\r\n\r\n"


class Message(NamedTuple):
    """The parts of a message that the checks need.

    `octets` is its size with CRLF. `bare_lf` is whether lines ended in LF.
    """

    block: HeaderBlock
    author: Author
    signatures: list[Signature]
    chain: Chain
    hashes: BodyHashes
    octets: int
    bare_lf: bool


class _Lines:
    """The octets of a file with CRLF as line ends, in pieces."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.octets = 0
        self.bare_lf = False

    def __iter__(self) -> Iterator[bytes]:
        held = b""  # a CR whose LF is in the next piece
        while piece := self._file.read(_CHUNK):
            octets = held + piece
            held = octets[-1:] if octets.endswith(b"\r") else b""
            yield self._with_crlf(octets[: len(octets) - len(held)])
        yield self._with_crlf(held)

    def _with_crlf(self, octets: bytes) -> bytes:
        ends = octets.count(b"\n")
        if ends != octets.count(b"\r\n"):
            self.bare_lf = True
            octets = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        self.octets += len(octets)
        return octets


def read_message(file: BinaryIO) -> Message:
    """Read a message; raises ValueError if its header block is too long, OSError of the file."""
    lines = _Lines(file)
    pieces = iter(lines)
    header, body = _split(pieces)
    block = HeaderBlock(header)
    author = read_author(header)
    signatures = read_signatures(block, {author.domain} - {""})
    chain = read_chain(block)
    hashes = BodyHashes([*signatures, *chain.signatures])
    hashes.update(body)
    for piece in pieces:
        hashes.update(piece)
    hashes.finish()
    return Message(block, author, signatures, chain, hashes, lines.octets, lines.bare_lf)


def _split(pieces: Iterator[bytes]) -> tuple[bytes, bytes]:
    """Return the header block with its empty line, and the start of the body."""
    read = bytearray()
    for piece in pieces:
        searched = max(len(read) - len(_END) + 1, 0)
        read += piece
        if read.startswith(b"\r\n"):
            return b"", bytes(read[2:])
        end = read.find(_END, searched)
        if end >= 0:
            return bytes(read[: end + len(_END)]), bytes(read[end + len(_END) :])
        if len(read) > MAX_HEADER:
            raise ValueError(f"expected a header block of at most {MAX_HEADER} octets")
    return bytes(read), b""
