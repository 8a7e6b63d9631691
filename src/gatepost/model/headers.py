"""The header block of a message, read leniently: RFC 5322 section 2.2.

Nothing is refused and nothing decoded (RFC 2047 words stay as they are): what a policy makes of a
malformed field is its own choice. A line that is no field and continues none is dropped.
"""

from collections.abc import Iterator


class Headers:
    """Fields in the order they came; names are compared without regard to case."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._fields = list(_fields(raw))

    def get(self, name: str) -> str | None:
        """Return the first field's value, unfolded, or None."""
        return next(iter(self.get_all(name)), None)

    def get_all(self, name: str) -> list[str]:
        """Return the values of all fields of that name."""
        wanted = name.lower()
        return [value for field, value in self._fields if field.lower() == wanted]

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
