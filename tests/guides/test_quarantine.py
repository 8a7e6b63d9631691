"""docs/guides/quarantine.md, followed literally after the guide that it continues."""

from tests.guides.guide import Guide


def test_a_message_is_held_and_released(certified):
    debian = Guide("debian", certified)
    debian.follow("Install", "Configure", "Certificate", "Start")
    Guide("quarantine", certified).follow("Hold messages", "Read and decide")
