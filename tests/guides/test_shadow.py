"""docs/guides/shadow.md, followed literally after the guide that it continues."""

from tests.guides.guide import Guide


def test_the_week_ends_with_a_refusal(certified):
    debian = Guide("debian", certified)
    debian.follow("Install", "Configure", "Certificate", "Start")
    Guide("shadow", certified).follow(
        "Day 1: add traps", "Each day: read the hits", "Day 8: refuse"
    )
