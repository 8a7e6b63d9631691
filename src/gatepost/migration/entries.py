"""Entries of lists: what a line of another server becomes in a list of Gatepost.

Each function returns the line, and raises ValueError with what was expected.
"""

from gatepost.lists.domains import parse_domain_line
from gatepost.lists.entry import EntryKind, ListEntry, parse_line
from gatepost.lists.patterns import compile_pattern
from gatepost.migration.rules import in_slashes
from gatepost.migration.source import Line

# The class of traps that refuse only themselves.
_ONLY_ITSELF = "class=recycled"


def trap(line: Line) -> str:
    """Return a trap. Only addresses were traps, so nothing else becomes one."""
    entry = _entry(line.text, line)
    if entry.kind is not EntryKind.ADDRESS:
        raise ValueError(
            "expected an address; other entries had no effect, and would have one here"
        )
    return f"{entry.text} {entry.note}".rstrip()


def refused_recipient(line: Line) -> str:
    """Return an address or a domain whose mail is refused at RCPT."""
    entry = _entry(line.text, line)
    return f"{entry.text} {_ONLY_ITSELF} {entry.note}".rstrip()


def refused_recipients(pattern: str, note: str = "") -> str:
    """Return a pattern of recipients whose mail is refused at RCPT."""
    compile_pattern(pattern)
    return f"{in_slashes(pattern)} {_ONLY_ITSELF} {note}".rstrip()


def domain(line: Line) -> str:
    """Return a domain, or with a leading dot its subdomains. Nothing may follow it."""
    found = (
        None if len(line.text.split()) > 1 else parse_domain_line(line.text, line.file, line.number)
    )
    if found is None:
        raise ValueError("expected a domain name such as example.com or .example.com")
    return found


def address_or_domain(line: Line) -> str:
    """Return an address, or `@` and a domain."""
    text = line.text if "@" in line.text else f"@{line.text}"
    entry = _entry(text, line)
    if entry.kind is EntryKind.PATTERN:
        raise ValueError("expected an address, or a domain such as @example.com")
    return entry.text


def _entry(text: str, line: Line) -> ListEntry:
    entry = parse_line(text, line.file, line.number)
    if entry is None:
        raise ValueError("expected an address")
    return entry
