"""The base class of plugins: the log of a session."""

import logging

from gatepost import Plugin
from gatepost.testing import play


class Logs(Plugin):
    def on_connect(self, session):
        self.log_for(session).info("client")

    def on_mail(self, tx, sender):
        self.log_for(tx).info("sender", sender=sender)


def test_the_log_of_a_transaction_has_its_reference_and_client(caplog):
    caplog.set_level(logging.INFO, "gatepost")
    play(
        """
        S: 220
        C: EHLO client.example
        S: 250
        C: MAIL FROM:<a@client.example>
        S: 250
        """,
        [Logs()],
    )
    client, sender = (one.message for one in caplog.records if one.name == "gatepost.plugin")
    assert client.startswith("client ref=")
    assert client.endswith("peer=192.0.2.1:50000")
    assert sender.startswith("sender ref=")
    assert sender.endswith(".1 peer=192.0.2.1:50000 sender=a@client.example")
