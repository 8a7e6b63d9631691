"""The header block of a message, parsed leniently: RFC 5322 section 2.2.

Malformed fields are kept, so that a policy can decide about them. Encoded words (RFC 2047) are not
decoded. A line that is neither a field nor a continuation of one is dropped.
"""

from collections.abc import Iterator


class Headers:
    """The fields in their original order; names are compared without regard to case."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._fields = list(_fields(raw))

    def get(self, name: str) -> str | None:
        """Return the unfolded value of the first field of that name, or None."""
        return next(iter(self.get_all(name)), None)

    def get_all(self, name: str) -> list[str]:
        """Return the unfolded values of all fields of that name."""
        key = name.lower()
        return [value for field, value in self._fields if field.lower() == key]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


def _fields(raw: bytes) -> Iterator[tuple[str, str]]:
    name, parts = "", list[str]()
    for line in raw.decode("utf-8", "replace").split("\r\n"):
        if line[:1] in (" ", "\t"):
            parts.append(line)
            continue
        if name:
            yield name, "".join(parts).strip()
        name, colon, value = line.partition(":")
        name = name.rstrip() if colon else ""
        parts = [value]
    if name:
        yield name, "".join(parts).strip()
