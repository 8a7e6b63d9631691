"""The protocol of Postfix's tcp_table(5).

A request is "get KEY", an answer "200 VALUE", "400 REASON" (an error) or "500 REASON" (not found);
each is a line with LF. Octets outside of printable ASCII, blanks and percent signs are written as
"%" and two hexadecimal digits.

Limits: an answer has at most MAX_LINE octets, as in Postfix.
"""

from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from gatepost.wire.tables.conversation import Answer, BadAnswerError, OrderedConversation, text

MAX_LINE: Final = 4096
# Printable ASCII without the percent sign. The other characters are never quoted.
_PLAIN: Final = "!\"#$&'()*+,/:;<=>?@[\\]^`{|}"


class TcpTable(OrderedConversation):
    """Look-ups in the table of a server."""

    def _encode(self, key: str) -> bytes:
        return f"get {quote_from_bytes(key.encode(), safe=_PLAIN)}\n".encode()

    def _take(self) -> bytes | None:
        return self._take_line(MAX_LINE)

    def _decode(self, key: str, content: bytes) -> Answer:
        code, blank, rest = content.partition(b" ")
        value = text(unquote_to_bytes(rest))
        if code == b"200" and blank:
            return Answer(key, value)
        if code == b"500":
            return Answer(key)
        if code == b"400":
            return Answer(key, problem=value or "the server reports an error")
        raise BadAnswerError("200, 400 or 500", content)
