"""docs/shipped: the pages have the same sections in the same order."""

import re

import pytest
from tests.docs.pages import DOCS, prose

FOLDER = DOCS / "shipped"
# Any sections of the plugin's own may come after the first of these.
FIRST = "Options"
LAST = (
    "What the client gets",
    "Results and metrics",
    "If",
    "Limits",
    "Compared with others",
)
# Other names for the sections above.
AVOIDED = {"Results", "Metrics", "Differences"}
WIDTH = 120
PAGES = sorted(FOLDER.glob("*.md"), key=lambda path: path.stem)


def headings(path):
    return re.findall(r"^## (.+)$", prose(path), re.MULTILINE)


def common(heading):
    """The place of a common section in LAST, None for a section of the plugin's own."""
    name = "If" if heading.startswith("If ") else heading
    return LAST.index(name) if name in LAST else None


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_sections_of_a_page_have_the_common_order(path):
    found = headings(path)
    assert found[0] == FIRST
    assert AVOIDED.isdisjoint(found)
    assert not any(one.startswith("When ") for one in found)
    places = [common(one) for one in found[1:]]
    own = [one for one in places if one is None]
    known = [one for one in places if one is not None]
    assert places == [*own, *sorted(known)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_lines_of_a_page_are_not_wide(path):
    lines = [line for line in prose(path).splitlines() if not line.startswith("|")]
    assert [line for line in lines if len(line) > WIDTH] == []
