"""docs/guides/debian.md, followed literally."""

from tests.guides.guide import Guide


def test_the_guide_works(certified):
    guide = Guide("debian", certified)
    guide.follow("Install", "Configure", "Certificate", "Start", "Verify", "Change something")
