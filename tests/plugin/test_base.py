"""The base class of plugins: the log of a session."""

import logging

import structlog
from structlog.testing import capture_logs

from gatepost import Plugin
from gatepost.testing import play


class Logs(Plugin):
    def on_connect(self, session):
        self.log_for(session).info("client")

    def on_mail(self, tx, sender):
        self.log_for(tx).info("sender", sender=sender)


def test_the_log_of_a_transaction_has_its_reference_and_client(caplog, monkeypatch):
    # As in a program that does not configure structlog: another test of the process may have.
    monkeypatch.setattr(structlog, "is_configured", lambda: False)
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
    # A thread of an earlier test may log too.
    client, sender = (one.message for one in caplog.records if " plugin=logs " in one.message)
    assert client.startswith("client plugin=logs ref=")
    assert client.endswith("peer=192.0.2.1:50000")
    assert sender.startswith("sender plugin=logs ref=")
    assert sender.endswith(".1 peer=192.0.2.1:50000 sender=a@client.example")


def test_a_plugin_asks_no_service_by_default():
    assert Logs().probes() == {}


def test_a_plugin_created_in_code_has_its_name_in_the_log():
    class Speaks(Plugin):
        def on_connect(self, session):
            self.log.info("spoken")

    first, second = Speaks(), Speaks()
    second.name = "second"
    with capture_logs() as lines:
        first.log.info("created")
        play("S: 220", [first, second])
    named = [(line["event"], line["plugin"]) for line in lines]
    assert named == [("created", "speaks"), ("spoken", "speaks"), ("spoken", "second")]


def test_a_plugin_uses_no_dns_lists_unless_it_names_them():
    assert Plugin().dns_lists == ()


def test_a_plugin_has_no_warnings_of_itself():
    assert list(Plugin().warnings()) == []
