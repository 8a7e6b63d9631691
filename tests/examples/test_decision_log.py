"""The recipe for a log of decisions."""

import logging

import structlog
from examples.decision_log import DecisionLog
from examples.no_mondays import NoMondays

from gatepost.testing import play


def test_refusals_are_logged_with_their_plugin(caplog, monkeypatch):
    # As in a program that does not configure structlog: another test of the process may have.
    monkeypatch.setattr(structlog, "is_configured", lambda: False)
    caplog.set_level(logging.INFO, "gatepost")
    play(
        """
        S: 220
        C: EHLO client.example
        S: 250
        C: MAIL FROM:<>
        S: 250
        C: RCPT TO:<a@elsewhere.example>
        S: 550
        C: RCPT TO:<a@example.com>
        S: 550
        C: RCPT
        S: 5*
        """,
        [NoMondays(), DecisionLog()],
        now="2024-01-01T12:00",
    )
    # A thread of an earlier test may log too.
    lines = [one.message for one in caplog.records if " plugin=decision_log " in one.message]
    core, plugin, fault = lines
    assert "decision" in core
    assert "by=gatepost" in core
    assert "hook=rcpt" in core
    assert "by=no_mondays reason=monday" in plugin
    assert "'no_mondays': '" in plugin
    assert "protocol error" in fault
    assert all(" ref=" in one for one in (core, plugin, fault))
