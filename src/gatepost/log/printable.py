"""Text that is safe to show on a terminal or to put into a line of a log.

Security: addresses, HELO names and message texts come from clients. An escape sequence among them
would be obeyed by the terminal of whoever reads the log, a line separator would forge a line, a
bidirectional control would show another text than there is.
"""


def printable(text: str) -> str:
    """Return the text with every character that does not print as itself written as an escape.

    That is C0 and C1 controls, line and paragraph separators, bidirectional and other format
    controls, surrogates, and blanks other than the ASCII one.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else escape(one) for one in text)


def escape(character: str) -> str:
    r"""Return one character as Python writes it in a string: `\n`, `\x1b`, `\u2028`."""
    return character.encode("unicode_escape").decode("ascii")
