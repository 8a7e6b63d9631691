"""Check the header fields: those that RFC 5322 requires, dates, and who the message claims to be.

Mail of authenticated clients and of those in a network of `relay_for` is not checked. The rules are
in `gatepost.plugins._header_rules`; one with the reaction "none" is off.
"""

from operator import attrgetter
from typing import Any

from gatepost import Decision, Duration, MessageTransaction, Plugin, Reaction
from gatepost.plugins._client import Finding
from gatepost.plugins._findings import conclude
from gatepost.plugins._header_rules import RULES, Examined, Surroundings
from gatepost.plugins._suffixes import Organisations, check_installed, load_registered

# RFC 5322 section 3.6: the fields of which there is at most one.
UNIQUE = (
    *("Date", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID", "In-Reply-To"),
    *("References", "Subject"),
)


class Headers(Plugin):
    """Adds the result `headers`: "pass", or the first finding."""

    after = frozenset({"spf", "dkim", "dmarc", "arc", "authentication_results"})

    class Options(Plugin.Options):
        """Reactions by what is found."""

        missing: Reaction = Reaction(2)
        """The reaction if one of `required` is missing."""
        required: tuple[str, ...] = ("Date", "From")
        """The fields that a message must have."""
        unwanted: Reaction = Reaction("deny")
        """The reaction if one of `forbidden` is there."""
        forbidden: tuple[str, ...] = ()
        """The fields that a message must not have."""
        repeated: Reaction = Reaction(3)
        """The reaction if one of `unique` is there more than once. Mail programs differ in which
        one they show."""
        unique: tuple[str, ...] = UNIQUE
        """The fields that may occur once."""
        long_line: Reaction = Reaction(1)
        """The reaction to a line of the header with more than `longest_line` octets."""
        longest_line: int = 998
        """The longest permitted line, in octets without CRLF (RFC 5322 section 2.1.1)."""
        date_malformed: Reaction = Reaction(2)
        """The reaction to a Date that cannot be read."""
        date_old: Reaction = Reaction(1)
        """The reaction to a Date that is older than `oldest`."""
        oldest: Duration = Duration("15d")
        """The age from which a Date is old. Mail can wait for days in a queue."""
        date_future: Reaction = Reaction(2)
        """The reaction to a Date that is more than `ahead` in the future."""
        ahead: Duration = Duration("2d")
        """How far a Date may be in the future. Clocks and time zones are often wrong."""
        message_id_missing: Reaction = Reaction(1)
        """The reaction to a message without Message-ID."""
        message_id_malformed: Reaction = Reaction("none")
        """The reaction to a Message-ID that is not `<left@right>`. Much good mail has one."""
        from_malformed: Reaction = Reaction(3)
        """The reaction to a From field that cannot be read, or has no address."""
        from_several: Reaction = Reaction(2)
        """The reaction to several addresses in From without a Sender field."""
        from_own: Reaction = Reaction(3)
        """The reaction to a domain of `recipients.domains` in From, if neither SPF, DKIM nor DMARC
        has passed for it. Mailing lists and forwarders send such mail too."""
        name_own: Reaction = Reaction(3)
        """The reaction to a domain of `recipients.domains` in the display name of From, if the
        address has another domain."""
        name_address: Reaction = Reaction(2)
        """The reaction to an address in the display name of From that belongs to another
        organisation than the address itself."""
        envelope_differs: Reaction = Reaction("none")
        """The reaction if the sender of the envelope belongs to another organisation than From.
        This is usual for mailing lists and for providers of bulk mail."""
        sender_differs: Reaction = Reaction("none")
        """The reaction if the address in Sender belongs to another organisation than From."""
        reply_to_differs: Reaction = Reaction("none")
        """The reaction if an address in Reply-To belongs to another organisation than From."""

        def __post_init__(self) -> None:
            if self.longest_line < 78:
                raise ValueError("longest_line: expected 78 or more octets")

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._rules = {
            name: rule for name, rule in RULES.items() if getattr(self.options, name) != Reaction()
        }
        self._compares = any(rule.compares for rule in self._rules.values())
        if self._compares:
            check_installed()

    async def start(self) -> None:
        """Load the public suffix list, if a rule needs it."""
        if self._compares:
            self._organisations = Organisations(await load_registered())

    def on_message(self, tx: MessageTransaction) -> Decision | None:
        """Examine the fields as the client has sent them."""
        if tx.session.auth is not None or tx.session.in_relay_network:
            return None
        examined = Examined(tx.message.header_block(), self._surroundings(tx))
        details = {
            name: detail
            for name, rule in self._rules.items()
            if (detail := rule.find(examined, self.options)) is not None
        }
        findings = [
            Finding(name, self._rules[name].reply(detail), "5.7.1", attrgetter(name))
            for name, detail in details.items()
        ]
        return conclude(self, tx, "headers", findings, next(iter(details.values()), ""))

    def _surroundings(self, tx: MessageTransaction) -> Surroundings:
        return Surroundings(
            tx.reverse_path, tx.received, tx.results, self.server.is_local, self._is_same
        )

    def _is_same(self, one: str, other: str) -> bool:
        return self._organisations.is_same(one, other)
