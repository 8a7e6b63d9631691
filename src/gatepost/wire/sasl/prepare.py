"""User names and passwords as they are compared: SASLprep (RFC 4013), and for names a bit more.

A name is one word of letters, digits and ASCII punctuation, in lower case: what PRECIS's
UsernameCaseMapped (RFC 8265 section 3.3) allows. Both sides of every comparison go through here.

Security: a name gets into logs, into Received and into files of one line a user. Whatever could be
read as another name – control and formatting characters, blanks, compatibility forms – is refused.
Limits: MAX_NAME and MAX_PASSWORD octets.
"""

import stringprep
from collections.abc import Callable
from unicodedata import category, normalize

from gatepost.wire.sasl.mechanism import SaslError

MAX_NAME = 255
MAX_PASSWORD = 1024

# RFC 4013 s2.3
_PROHIBITED: tuple[Callable[[str], bool], ...] = (
    stringprep.in_table_a1,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
# RFC 8264 s4.2.1: LetterDigits; ASCII is allowed beside them
_LETTERS_AND_DIGITS = frozenset({"Ll", "Lu", "Lo", "Lm", "Mn", "Mc", "Nd"})


def prepare_name(octets: bytes) -> str:
    """Return a user name as it is compared; raises `SaslError`."""
    name = normalize("NFC", _text(octets, MAX_NAME).lower())
    if not name or not all(map(_may_be_in_a_name, name)):
        raise SaslError("expected a user name")
    _check_direction(name)
    return name


def _may_be_in_a_name(char: str) -> bool:
    if char.isascii():
        return "!" <= char <= "~"
    return category(char) in _LETTERS_AND_DIGITS and normalize("NFKC", char) == char


def prepare_password(octets: bytes) -> str:
    """Return a password as it is hashed (SASLprep); raises `SaslError`."""
    text = _text(octets, MAX_PASSWORD)
    if text.isascii():
        prepared = text
    else:
        mapped = (
            " " if stringprep.in_table_c12(char) else char
            for char in text
            if not stringprep.in_table_b1(char)
        )
        prepared = normalize("NFKC", "".join(mapped))
    if not prepared or any(forbids(char) for char in prepared for forbids in _PROHIBITED):
        raise SaslError("expected a password without control characters")
    _check_direction(prepared)
    return prepared


def _text(octets: bytes, limit: int) -> str:
    if len(octets) > limit:
        raise SaslError(f"expected at most {limit} octets")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise SaslError("expected UTF-8") from None


def _check_direction(text: str) -> None:
    """Refuse what mixes directions of writing (RFC 3454 section 6)."""
    if text.isascii() or not any(map(stringprep.in_table_d1, text)):
        return
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    if not ends or any(map(stringprep.in_table_d2, text)):
        raise SaslError("expected one direction of writing")
