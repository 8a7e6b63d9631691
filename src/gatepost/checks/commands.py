"""The commands of a client in memory, one line each, for `gatepost try` and `gatepost replay`.

Security: a line break in an argument would begin another command, so it raises ValueError.
"""

from collections.abc import Iterable

_HELLO = {"lmtp": "LHLO"}


def hello(protocol: str, name: str) -> str:
    """Return the command that begins a session, with the client's name."""
    return _line(f"{_HELLO.get(protocol, 'EHLO')} {name}")


def mail(sender: str, recipients: Iterable[str]) -> str:
    """Return MAIL; an address beyond ASCII in the envelope needs SMTPUTF8 (RFC 6531)."""
    plain = sender.isascii() and all(one.isascii() for one in recipients)
    return _line(f"MAIL FROM:<{sender}>{'' if plain else ' SMTPUTF8'}")


def rcpt(recipient: str) -> str:
    """Return RCPT."""
    return _line(f"RCPT TO:<{recipient}>")


def _line(text: str) -> str:
    if "\r" in text or "\n" in text:
        raise ValueError(f"expected a command on one line, found {text[:80]!r}")
    return text
