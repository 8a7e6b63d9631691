"""The body hashes that the signatures of a message need, computed while its body arrives.

Each canonical form is made once, whatever the number of signatures, and only if one needs it.
"""

from collections.abc import Iterable

from gatepost.mailauth.dkim.body import BodyHash, BodyStream
from gatepost.mailauth.dkim.signature import Signature


class BodyHashes:
    """The SHA-256 hashes of a body: call `update` with its octets in any chunks, then `finish`.

    `signatures` are those of DKIM and of ARC together. `signing` is whether the hash for `sign`
    is needed too. Signatures with a fault need none. RFC 6376 section 3.7.
    """

    def __init__(self, signatures: Iterable[Signature] = (), *, signing: bool = False) -> None:
        lengths: dict[str, set[int | None]] = {"relaxed": {None}} if signing else {}
        for one in signatures:
            if one.fault is None:
                lengths.setdefault(one.body_canonicalization, set()).add(one.length)
        self._streams = {
            form: BodyStream(some, relaxed=form == "relaxed") for form, some in lengths.items()
        }
        self._hashes: dict[str, dict[int | None, BodyHash]] | None = None

    def update(self, chunk: bytes) -> None:
        """Hash the next octets of the body."""
        for stream in self._streams.values():
            stream.update(chunk)

    def finish(self) -> None:
        """End the body; further calls have no effect."""
        if self._hashes is None:
            self._hashes = {form: stream.finish() for form, stream in self._streams.items()}

    def get(self, canonicalization: str, length: int | None = None) -> BodyHash:
        """Return a hash; raise LookupError if the constructor was not given a signature with it.

        `length` is the value of l=. The body is ended if `finish` was not called.
        """
        self.finish()
        assert self._hashes is not None
        return self._hashes[canonicalization][length]

    @property
    def for_signing(self) -> bytes:
        """The digest that `sign` takes; raises LookupError without `signing`."""
        return self.get("relaxed").digest
