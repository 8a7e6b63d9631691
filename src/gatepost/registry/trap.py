"""A registered trap as a value, and as a line of the registry.

The last line of an address is its present state; the lines before it are its history.
"""

import msgspec

from gatepost.lists.entry import LineError, ListEntry, parse_line
from gatepost.model.address import Address
from gatepost.traps.notes import LISTED, Marks, TrapState, read_marks, with_marks
from gatepost.traps.verdicts import TrapClass

# Domains that one trap can be exempt for. A trap with more of them should be retired.
MOST_EXEMPT = 50
# Characters of a reason.
LONGEST_REASON = 500


class RegisteredTrap(msgspec.Struct, frozen=True, kw_only=True):
    """A trap of the registry.

    `entry` is an address or `@domain` in canonical form. `state` is "shadow", "armed" or "retired".
    With `spoils` it refuses messages although any person can guess it. `expires` is the time from
    which it has no effect, 0 for never; for senders of the domains in `exempt` it never has one.
    `reason`, `by` and `at` are the reason, author and time of the last change. Times are in seconds
    since 1970.
    """

    entry: str
    trap_class: str = TrapClass.PRISTINE.value
    state: str = TrapState.SHADOW.value
    spoils: bool = False
    expires: float = 0.0
    exempt: tuple[str, ...] = ()
    reason: str = ""
    by: str = ""
    at: float = 0.0

    @classmethod
    def of(cls, entry: ListEntry) -> "RegisteredTrap | None":
        """Return the trap of a line, None for a line that was cut off."""
        marks = read_marks(entry.note)
        if marks.state is None:
            return None
        return cls(
            entry=entry.key,
            trap_class=(marks.trap_class or TrapClass.PRISTINE).value,
            state=marks.state.value,
            spoils=marks.spoils,
            expires=marks.expires,
            exempt=marks.exempt,
            reason=marks.note,
            by=marks.by,
            at=marks.at,
        )

    def line(self) -> str:
        """Return the line of the registry, without a line end; raises ValueError."""
        marks = Marks(
            LISTED.get(self.trap_class),
            self.spoils,
            self.reason,
            TrapState(self.state),
            self.expires,
            self.exempt,
            self.by,
            self.at,
        )
        line = f"{written(self.entry)} {with_marks(marks)}".rstrip()
        _check(line, self)
        return line


def key_of(text: str) -> str:
    """Return the canonical form of an address or `@domain`; raises ValueError for anything else."""
    try:
        entry = parse_line(text, "", 0)
    except LineError as error:
        raise ValueError(f"expected {error.expected}, found {text!r}") from None
    if entry is None or entry.note or entry.key[0] == "/":
        raise ValueError(f"expected an address or @domain, found {text!r}")
    return entry.key


def author(name: str, otherwise: str) -> str:
    """Return a name as one word of a line, `otherwise` if nothing of it is left."""
    return "-".join(name.replace("=", " ").split()) or otherwise


def written(key: str) -> str:
    """Return an entry in canonical form as it is written: with quotes if the address needs them."""
    local, _, domain = key.rpartition("@")
    return str(Address(local, domain)) if local else key


def _check(line: str, trap: RegisteredTrap) -> None:
    """Raise ValueError unless the line is read as this trap again."""
    if trap.trap_class not in LISTED:
        raise ValueError(f"expected one of {', '.join(LISTED)}, found {trap.trap_class!r}")
    if len(trap.exempt) > MOST_EXEMPT:
        raise ValueError(f"expected at most {MOST_EXEMPT} exempt domains, found {len(trap.exempt)}")
    if len(trap.reason) > LONGEST_REASON:
        raise ValueError(f"expected a reason of at most {LONGEST_REASON} characters")
    entry = parse_line(line, "", 0)
    if entry is None or RegisteredTrap.of(entry) != trap:
        raise ValueError(f"expected a reason on one line without a word like class=: {line!r}")
