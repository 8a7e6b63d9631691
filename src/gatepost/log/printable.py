"""Text that is safe on a terminal and in a line of a log.

Security: addresses, HELO names and message texts come from clients. A terminal would execute an
escape sequence in them, a line separator would forge a log line, and a bidirectional control would
change the text that the reader sees.
"""


def printable(text: str) -> str:
    """Return the text with every unprintable character replaced by an escape.

    These are C0 and C1 controls, line and paragraph separators, bidirectional and other format
    controls, surrogates, and blanks other than the ASCII one.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else escape(one) for one in text)


def escape(character: str) -> str:
    r"""Return one character as a Python escape: `\n`, `\x1b`, `\u2028`."""
    return character.encode("unicode_escape").decode("ascii")
