"""The guides for Postfix, followed literally."""

from tests.e2e.server import eventually
from tests.guides.guide import Guide


def mails(machine, user):
    """The number of messages in a user's mailbox."""
    return machine.path(f"/var/mail/{user}").read_text().count("\nX-Original-To: ")


def test_gatepost_in_front_of_postfix(installed):
    guide = Guide("postfix-front", installed)
    guide.follow("Configure", "Add the inner port", "Swap the ports", "Verify")
    eventually(lambda: mails(installed, "alice") == 2)
    guide.follow("Roll back")


def test_gatepost_as_a_filter_of_postfix(installed):
    guide = Guide("postfix-filter", installed)
    guide.follow("Configure", "Add the return port", "Switch it on", "Verify")
    eventually(
        lambda: mails(installed, "alice") == 2
    )  # the trap was hit twice, but refused only once
    guide.follow("Roll back")


def test_gatepost_behind_postfix_with_lmtp(installed):
    guide = Guide("postfix-lmtp", installed)
    guide.follow("Configure", "Connect Postfix", "Verify")
    maildir = installed.path("/var/lib/gatepost/mail/example.org/alice/new")
    assert len(list(maildir.iterdir())) == 1
    guide.follow("Roll back")
