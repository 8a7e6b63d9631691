"""docs/guides/logs.md, followed literally after the guides that it continues."""

from tests.guides.guide import Guide


def test_a_log_file_is_rotated_and_stays_in_use(certified):
    debian = Guide("debian", certified)
    debian.follow("Install", "Configure", "Certificate", "Start")
    Guide("logs", certified).follow("Rotation of a file")
    folder = certified.path("/var/log/gatepost")
    assert (folder / "gatepost.log.1").read_text().count('"started"') == 1
    assert (folder / "gatepost.log").read_text().count('"started"') == 0


def test_a_message_is_traced_from_gatepost_to_postfix(installed):
    front = Guide("postfix-front", installed)
    front.follow("Configure", "Add the inner port", "Swap the ports")
    Guide("logs", installed).follow("Rotation by the journal", "A common key for Postfix")
