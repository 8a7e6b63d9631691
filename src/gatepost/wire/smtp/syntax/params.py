"""ESMTP parameters of MAIL and RCPT: RFC 5321 section 4.1.2.

A parameter is understood only while its extension is offered; the reply to any other is 555 (RFC
5321 section 4.1.1.11). `gatepost.wire.smtp.syntax.extensions` has the parameters and their values.
"""

from collections.abc import Collection

from gatepost.model.reply import Reply
from gatepost.wire.smtp.syntax.extensions import PARAMETERS
from gatepost.wire.smtp.syntax.values import ADDED, NO_VALUE

_UNKNOWN = ("", NO_VALUE)


class ParameterError(Exception):
    """A parameter is unknown or malformed; `reply` is the answer to its command."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, text, "5.5.4")


def parse_params(
    verb: str, text: str, extensions: Collection[str], added: Collection[str] = ()
) -> dict[str, str]:
    """Parse `KEY=value KEY ...`. Raises `ParameterError`.

    `added` are keywords of plugins, which have any value or none.
    """
    known = PARAMETERS[verb]
    params: dict[str, str] = {}
    for word in text.split():
        keyword, separator, value = word.partition("=")
        if keyword.isascii():
            keyword = keyword.upper()
        extension, parameter = known.get(keyword, _UNKNOWN)
        if keyword in added:
            parameter = ADDED
        elif extension not in extensions:
            raise ParameterError(555, f"{verb} parameter not recognised: {keyword[:40]}")
        if keyword in params or (separator and not parameter.characters.fullmatch(value)):
            raise ParameterError(501, f"Syntax error in {verb} parameter {keyword}")
        try:
            params[keyword] = parameter.read(value)
        except ValueError as error:
            raise ParameterError(501, f"{verb} parameter {keyword}: {error}") from None
    return params
