"""One version of the entries, for look-ups by what is known of a message.

Limits: MOST entries. A look-up costs some dictionary look-ups; an entry has no effect from the
time of its end on, whether it has been removed or not.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address
from typing import NamedTuple, Self

from gatepost.allow.entry import Change, Entry
from gatepost.allow.subject import Kind
from gatepost.lists.entry import LineError
from gatepost.lists.networks import NetworkList

MOST = 1000


class Known(NamedTuple):
    """The facts of a message: its client, its proven domains and sender, its recipients.

    A recipient has its address as the client named it and without subaddress. `sender` is "" if it
    is not proven.
    """

    client: str
    domains: Sequence[str] = ()
    sender: str = ""
    recipients: Sequence[tuple[str, str]] = ()


class AllowList:
    """Entries and the changes that are not recorded yet. `errors` has the bad lines."""

    def __init__(self, items: Iterable[Entry | Change | LineError] = ()) -> None:
        found = list(items)
        self.errors = [one for one in found if isinstance(one, LineError)]
        self.bad_lines = len(self.errors)
        self.changes = [one for one in found if isinstance(one, Change)]
        self.entries = {one.what: one for one in found if isinstance(one, Entry)}
        self.first_end = min((one.until for one in self.entries.values()), default=0.0)
        self._by_kind: dict[Kind, dict[str, Entry]] = {kind: {} for kind in Kind}
        for one in self.entries.values():
            subject = one.subject
            self._by_kind[subject.kind][subject.key] = one
        self._networks = _networks(self._by_kind[Kind.CLIENT].values())

    @property
    def current(self) -> Self:
        """The list itself; an `AllowFile` has the same attribute."""
        return self

    def __len__(self) -> int:
        return len(self.entries)

    def find(self, known: Known, now: float, *, traps: bool = False) -> Entry | None:
        """Return an entry that covers a message, with `traps` one that is about traps too."""
        for one in self._covering(known, now):
            if one.until > now and one.traps >= traps:
                return one
        return None

    def _covering(self, known: Known, now: float) -> Iterator[Entry]:
        yield from self._of_client(known.client)
        senders = self._by_kind[Kind.SENDER]
        if known.sender in senders:
            yield senders[known.sender]
        for domain in known.domains:
            yield from self._of_domain(domain)
        yield from self._of_recipients(known.recipients, now)

    def _of_client(self, host: str) -> Iterator[Entry]:
        """Yield the entries of a client: the smallest network first, then all that contain it."""
        if not self._networks:
            return
        try:
            address = ip_address(host)
        except ValueError:  # a Unix socket
            return
        if self._networks.find(address) is None:
            return
        address = getattr(address, "ipv4_mapped", None) or address
        for one in self._by_kind[Kind.CLIENT].values():
            network = one.subject.network
            if network is not None and address in network:
                yield one

    def _of_domain(self, domain: str) -> Iterator[Entry]:
        domains: Mapping[str, Entry] = self._by_kind[Kind.DOMAIN]
        while domain:
            if domain in domains:
                yield domains[domain]
            domain = domain.partition(".")[2]

    def _of_recipients(self, recipients: Sequence[tuple[str, str]], now: float) -> Iterator[Entry]:
        """Yield the entry of the first recipient, if each has one in force."""
        allowed = self._by_kind[Kind.RECIPIENT]
        if not allowed or not recipients:
            return
        found = [_of_either(allowed, names, now) for names in recipients]
        if found[0] is not None and None not in found:
            yield found[0]


def _of_either(allowed: Mapping[str, Entry], names: tuple[str, str], now: float) -> Entry | None:
    found = (allowed.get(name) for name in names)
    return next((one for one in found if one is not None and one.until > now), None)


def _networks(entries: Iterable[Entry]) -> NetworkList:
    return NetworkList(filter(None, (one.subject.network for one in entries)))
