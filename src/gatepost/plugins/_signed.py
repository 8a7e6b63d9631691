"""The signatures of a message, shared by the plugins that verify them.

The first of these plugins reads the signatures and hashes the body while it arrives; the others get
the same object. So the body is hashed once, whatever the plugins and their order.
"""

import msgspec

from gatepost import MessageTransaction, Watch
from gatepost.mailauth.arc import Chain, read_chain
from gatepost.mailauth.dkim import BodyHashes, HeaderBlock, Signature, read_signatures
from gatepost.mailauth.dmarc import Author, read_author

_KEY = "gatepost signatures"


class Signed(msgspec.Struct, eq=False):
    """A message: its header block, author, DKIM signatures and ARC chain, and the body's hashes.

    `hashes` can be read once `finish` has been called, in `on_message`.
    """

    block: HeaderBlock
    author: Author
    signatures: list[Signature]
    chain: Chain
    hashes: BodyHashes
    watch: Watch | None = None
    finished: bool = False

    def finish(self) -> None:
        """End the hashes; raises what hashing has raised."""
        if self.watch is not None:
            self.watch.check()
        if not self.finished:
            self.hashes.finish()
            self.finished = True


def signed(tx: MessageTransaction) -> Signed:
    """Return the signatures of a message; call it in `on_headers`, so that the body is hashed."""
    found: Signed | None = tx.notes.get(_KEY)
    if found is None:
        found = tx.notes[_KEY] = _read(tx)
    return found


def _read(tx: MessageTransaction) -> Signed:
    octets = tx.message.header_block()
    block, author = HeaderBlock(octets), read_author(octets)
    signatures, chain = read_signatures(block, {author.domain}), read_chain(block)
    hashes = BodyHashes([*signatures, *chain.signatures])
    found = Signed(block, author, signatures, chain, hashes)
    if signatures or chain.signatures:
        found.watch = tx.message.watch(hashes.update, body=True)
    return found
