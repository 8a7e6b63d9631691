"""The trap table: is this recipient a trap, and which entries of the lists are not armed.

Looks at the lists in order, each as it stands at that moment, and never arms what real mail may
be sent to: the role addresses of ROLES at any domain, and addresses that are known to exist. An
entry that names such an address is reported and does nothing; a `@domain` or `/pattern/` entry
that covers one spares it and stays armed for the rest.

An entry with a subaddress (`user+shop@example.com`, a tag that leaked) is judged as it is written:
it is armed even where `user@example.com` is known or a role, unless that very address is known.
Only what a list of known recipients names one by one counts as known here, not its `@domain` and
`/pattern/` entries: in a domain that takes every address, traps must stay possible.

What is asked on every RCPT is the look-up; roles and known addresses only matter on a hit.
"""

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum

import msgspec

from gatepost.lists.addresses import AddressList, ListSource, local_part
from gatepost.lists.entry import EntryKind, ListEntry
from gatepost.model.address import Address, domain_key, local_key
from gatepost.model.session import TrapHit

# RFC 5321 s4.5.1: postmaster must be accepted. RFC 2142 s4: abuse is where complaints go.
ROLES = frozenset({"postmaster", "abuse"})


class UnarmedReason(Enum):
    """Why an entry is not armed; the value is what reports show."""

    ROLE = "a role address (RFC 2142)"
    KNOWN = "a known recipient"


class UnarmedEntry(msgspec.Struct, frozen=True):
    """An entry of a trap list that does nothing, and why."""

    entry: ListEntry
    reason: UnarmedReason

    def __str__(self) -> str:
        entry = self.entry
        place = f"{entry.source}:{entry.line}"
        return f"{place}: {entry.text} is not armed: it is {self.reason.value}"


class TrapTable:
    """Trap lists and what is spared from them.

    `lists` and `known` are lists, or files whose current version is asked each time.
    """

    def __init__(self, lists: Sequence[ListSource], known: Sequence[ListSource] = ()) -> None:
        self.lists = tuple(lists)
        self._known = tuple(known)

    def match(self, address: Address, user: str) -> TrapHit | None:
        """Return the trap an address is, or None.

        `user` is the local part in lower case without the subaddress.
        """
        local = local_key(address.local)
        domain = domain_key(address.domain)
        key = f"{local}@{domain}"  # address.key, whose halves are needed here
        user_key = key if user == local else f"{user}@{domain}"
        for source in self.lists:
            entry = source.current.find(key, user_key)
            if entry is not None and not self._spares(entry, key, user_key):
                return TrapHit(address, entry.text, entry.note, entry.source, entry.line)
        return None

    def _spares(self, entry: ListEntry, key: str, user_key: str) -> bool:
        names = (key,) if entry.key == key else (key, user_key)
        return any(self._reason(name) is not None for name in names)

    def _reason(self, key: str) -> UnarmedReason | None:
        if key.rpartition("@")[0] in ROLES:
            return UnarmedReason.ROLE
        if any(source.current.exact(key) for source in self._known):
            return UnarmedReason.KNOWN
        return None

    def unarmed_entries(self) -> list[UnarmedEntry]:
        """Return the entries that are not armed, list by list.

        Takes time in proportion to the smaller of the lists compared, and one fast pass over each
        trap list for the roles.
        """
        return [unarmed for source in self.lists for unarmed in self._report_list(source.current)]

    def _report_list(self, traps: AddressList) -> Iterator[UnarmedEntry]:
        found = dict.fromkeys(traps.with_local_part(ROLES), UnarmedReason.ROLE)
        for source in self._known:
            for entry in _in_both(traps, source.current):
                found.setdefault(entry, UnarmedReason.KNOWN)
        for entry in sorted(found, key=lambda entry: entry.line):
            yield UnarmedEntry(entry, found[entry])


def _in_both(traps: AddressList, known: AddressList) -> Iterable[ListEntry]:
    """Yield the address entries of `traps` that `known` names too, looking the fewer up."""
    if len(traps) <= len(known):
        return (entry for entry in traps if local_part(entry) and known.exact(entry.key))
    found = (traps.exact(other.key) for other in known if other.kind is EntryKind.ADDRESS)
    return (entry for entry in found if entry is not None)
