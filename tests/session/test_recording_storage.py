"""The record of a message that cannot be stored.

A part of the session is replaced, which is not possible in the compiled build.
"""

from tests.session.dialogue import OPEN
from tests.session.test_recording import CONTENT, MAIL, QUIT, RCPT, transaction

from gatepost.model.message import Message


def test_a_message_that_cannot_be_stored_has_the_problem(monkeypatch):
    class Full(Message):
        def complete(self):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("gatepost.session.conversation.Message", Full)
    found = transaction(OPEN + MAIL + RCPT + CONTENT + "S: 452 4.3.1 *\n" + QUIT)
    assert (found.result, found.reason) == ("deferred", "storage")
    assert "No space left on device" in found.problem
