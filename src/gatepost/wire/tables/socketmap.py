"""The socketmap protocol of Sendmail and Postfix (socketmap_table(5)).

Requests and answers are netstrings: the length in decimal, a colon, the content, a comma. A request
is the name of the map, a blank and the key. An answer is "OK value", "NOTFOUND ", "TEMP reason",
"TIMEOUT reason" or "PERM reason".

Limits: an answer has at most MAX_ANSWER octets, as in Postfix.
"""

import re
from typing import Final

from gatepost.wire.tables.conversation import Answer, BadAnswerError, OrderedConversation, text

MAX_ANSWER: Final = 100_000
_EXPECTED: Final = f"a netstring of at most {MAX_ANSWER} octets"
_LENGTH: Final = re.compile(rb"(0|[1-9][0-9]{0,5}):")
_PART_OF_LENGTH: Final = re.compile(rb"(?:0|[1-9][0-9]{0,5})?")
_FAILURES: Final = (b"TEMP", b"TIMEOUT", b"PERM")


class Socketmap(OrderedConversation):
    """Look-ups in the map of this name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def _encode(self, key: str) -> bytes:
        content = f"{self._name} {key}".encode()
        return b"%d:%b," % (len(content), content)

    def _take(self) -> bytes | None:
        length = _LENGTH.match(self._buffer)
        if length is None and _PART_OF_LENGTH.fullmatch(self._buffer):
            return None
        if length is None or int(length[1]) > MAX_ANSWER:
            raise BadAnswerError(_EXPECTED, self._buffer)
        start = length.end()
        return self._take_content(start, start + int(length[1]))

    def _take_content(self, start: int, end: int) -> bytes | None:
        if len(self._buffer) <= end:
            return None
        if self._buffer[end] != ord(","):
            raise BadAnswerError(_EXPECTED, self._buffer)
        content = bytes(self._buffer[start:end])
        del self._buffer[: end + 1]
        return content

    def _decode(self, key: str, content: bytes) -> Answer:
        status, blank, rest = content.partition(b" ")
        if status == b"OK" and blank:
            return Answer(key, text(rest))
        if status == b"NOTFOUND":
            return Answer(key)
        if status in _FAILURES:
            return Answer(key, problem=text(content))
        raise BadAnswerError("OK, NOTFOUND, TEMP, TIMEOUT or PERM", content)
