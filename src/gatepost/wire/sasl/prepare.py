"""User names and passwords in the form that is compared: SASLprep (RFC 4013), stricter for names.

A name is one word of letters, digits and ASCII punctuation, in lower case, as in the profile
UsernameCaseMapped of PRECIS (RFC 8265 section 3.3). Prepare both sides of every comparison.

Security: a name appears in logs, in Received and in files with one line per user. Characters that
could make it look like another name are refused: control and formatting characters, blanks, and
compatibility forms.
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
# RFC 8264 s4.2.1: LetterDigits; printable ASCII is also allowed
_LETTERS_AND_DIGITS = frozenset({"Ll", "Lu", "Lo", "Lm", "Mn", "Mc", "Nd"})


def prepare_name(octets: bytes) -> str:
    """Return a user name in the form that is compared. Raises `SaslError`."""
    name = normalize("NFC", _text(octets, MAX_NAME).lower())
    if not name or not all(map(_is_allowed_in_name, name)):
        raise SaslError("expected a user name")
    _check_direction(name)
    return name


def _is_allowed_in_name(char: str) -> bool:
    if char.isascii():
        return "!" <= char <= "~"
    return category(char) in _LETTERS_AND_DIGITS and normalize("NFKC", char) == char


def prepare_password(octets: bytes) -> str:
    """Return a password in the form that is hashed (SASLprep). Raises `SaslError`."""
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
    """Refuse text that mixes writing directions (RFC 3454 section 6)."""
    if text.isascii() or not any(map(stringprep.in_table_d1, text)):
        return
    ends = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    if not ends or any(map(stringprep.in_table_d2, text)):
        raise SaslError("expected one direction of writing")
