"""Refuse a whole message at DATA because one of its recipients is a honeypot address.

A port of the qpsmtpd plugin `check_verybadrcptto`, with the same list, reply and delay of a second.
The order of plugins does not matter, because `observe_rcpt` runs before any plugin can decide. The
list is read again when it changes. The trap lists of the server, `[traps]`, do more.
"""

from gatepost import AddressList, Decision, Plugin, Recipient, Transaction, deny

TEXT = (
    "sorry, one or more of the recipients has flagged this e-mail as unsolicited bulk/commercial "
    "e-mail which is contrary to our acceptable e-mail use policy - spam score exceeded threshold"
)


class CheckVeryBadRcptTo(Plugin):
    """Refuses a message at DATA if one of its recipients is on the list."""

    class Options(Plugin.Options):
        """`bad` are the addresses; a file has one a line, optionally followed by a note."""

        bad: AddressList = AddressList("file:verybadrcptto")

    def observe_rcpt(self, tx: Transaction, rcpt: Recipient) -> None:
        """Note a recipient that is on the list, even if it is refused later."""
        if rcpt in self.options.bad:
            tx.notes["verybadrcptto"] = True

    def on_data(self, tx: Transaction) -> Decision | None:
        """Refuse the message for all recipients if one is on the list."""
        if not tx.notes.get("verybadrcptto"):
            return None
        return deny(TEXT, code=554, enhanced="5.6.1", reason="verybadrcptto", delay=1)
