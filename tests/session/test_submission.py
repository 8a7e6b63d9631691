"""Messages that plugins submit."""

from email.message import EmailMessage

import pytest
from structlog.testing import capture_logs
from tests.session.dialogue import config
from tests.session.test_recipients import ONE, transcript

from gatepost import Plugin
from gatepost.config.schema import RouteConfig
from gatepost.testing import play

NOTICE = b"From: gatepost@example.com\nSubject: notice\n\ntext\n"


class Reporter(Plugin):
    """Submits a message for each message."""

    def __init__(self, *arguments):
        super().__init__()
        self.arguments, self.seen, self.refs, self.errors = arguments, 0, [], []

    async def on_message(self, tx, /):
        self.seen += 1
        try:
            self.refs.append(await self.submit(*self.arguments))
        except (ValueError, TypeError, RuntimeError) as error:
            self.errors.append(str(error))


def submit(*arguments, **options):
    reporter = Reporter(*arguments)
    with capture_logs() as lines:
        played = play(transcript("smtp", [ONE], ["250"]), [reporter], **options)
    assert reporter.seen == 1  # not its own message
    return played.submitted, reporter, lines


def test_a_plugin_submits_octets():
    [message], reporter, lines = submit(
        "gatepost@example.com", ["ann@example.com", "Ann@Example.com"], NOTICE
    )
    assert (message.reverse_path, message.recipients) == (
        "gatepost@example.com",
        ["ann@example.com"],
    )
    parsed = message.parse()
    assert (parsed["subject"], parsed.get_content()) == ("notice", "text\r\n")
    [ref] = reporter.refs
    assert parsed["message-id"] == f"<{ref}@localhost>"
    assert parsed["date"].datetime.year == 2024
    [line] = [line for line in lines if line["event"] == "submitted"]
    assert (line["ref"], line["plugin"], line["recipients"]) == (
        ref,
        "reporter",
        ["ann@example.com"],
    )


def test_a_plugin_submits_an_object_of_the_standard_library():
    made = EmailMessage()
    made["From"], made["To"] = "gatepost@example.com", "ann@example.com"
    made["Subject"], made["Bcc"] = "Grüße", "boss@example.com"
    made["Date"], made["Message-ID"] = "Mon, 01 Jan 2024 00:00:00 +0000", "<1@example.com>"
    made.set_content("Text ü\n")
    [message], _, _ = submit("", ["ann@example.com"], made)
    parsed = message.parse()
    assert (message.reverse_path, parsed["subject"], parsed["bcc"]) == ("", "Grüße", None)
    assert parsed.get_all("message-id") == ["<1@example.com>"]
    assert b"\n" not in message.content.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    ("sender", "recipients", "message", "problem"),
    [
        ("nonsense", [ONE], NOTICE, "expected local-part@domain"),
        ("", ["nonsense"], NOTICE, "expected local-part@domain"),
        ("", [], NOTICE, "expected 1 to 2 (limits.recipients) recipients, found 0"),
        ("", [f"{n}@example.com" for n in range(3)], NOTICE, "recipients, found 3"),
        ("", ONE, NOTICE, "expected a list of recipients"),
        ("", ["a@elsewhere.example"], NOTICE, "no route for a@elsewhere.example"),
        ("", [ONE], b"a\r\nb\n", "message: bare LF at offset 4"),
        ("", [ONE], b"a\0", "message: NUL at offset 1"),
        ("", [ONE], b"a: b\r\n\r\n" + b"x" * 70_000, "at most 65536 octets (limits.message_size)"),
    ],
)
def test_a_wrong_message_is_an_error(sender, recipients, message, problem):
    settings = config(limits={"recipients": 2, "message_size": 65536})
    submitted, reporter, _ = submit(sender, recipients, message, config=settings)
    assert submitted == []
    assert problem in reporter.errors[0]


def test_a_plugin_outside_of_a_server_cannot_submit():
    with pytest.raises(RuntimeError, match="not in one"):
        Plugin().submit("", [ONE], NOTICE).send(None)


def test_submit_without_a_queue_is_an_error(monkeypatch):
    from gatepost.session.setup import Setup

    monkeypatch.setattr(Setup, "spool", None)
    _, reporter, _ = submit("", [ONE], NOTICE)
    assert "submit() needs the queue" in reporter.errors[0]


def test_the_route_of_a_foreign_recipient_needs_a_pattern_or_relays():
    for route in (RouteConfig(for_=["elsewhere.example"], to="discard:"),):
        settings = config(route=[route, RouteConfig(to="discard:")])
        [message], _, _ = submit("", ["a@elsewhere.example"], NOTICE, config=settings)
        assert message.recipients == ["a@elsewhere.example"]


def test_addresses_that_are_not_ascii_need_smtputf8():
    submitted, reporter, _ = submit("", ["j\u00f6rg@example.com"], NOTICE)
    assert reporter.errors == []
    assert [one.recipients for one in submitted] == [["j\u00f6rg@example.com"]]


def test_fields_of_plugins_are_added_in_their_order():
    class Signs(Plugin):
        def on_own_mail(self, message):
            return [("X-First", "1"), ("X-Second", str(len(message) > 0))]

    reporter = Reporter("", ["ann@example.com"], NOTICE)
    played = play(transcript("smtp", [ONE], ["250"]), [reporter, Signs()])
    (message,) = played.submitted
    assert message.content.startswith(b"X-First: 1\r\nX-Second: True\r\n")
