"""Links lead to files and headings that exist, and every page can be reached."""

import re

import pytest
from tests.docs.pages import DOCS, PAGES, ROOT, prose

LINK = re.compile(r"\]\(([^)\s:]*)\)")
ANCHOR = re.compile(r'<a id="([\w-]+)"></a>')
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
INDEX = DOCS / "README.md"


def anchors(path):
    """The anchors of a page: those of its headings, as GitHub makes them, and explicit ones."""
    headings = HEADING.findall(prose(path))
    made = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
    return made | set(ANCHOR.findall(prose(path)))


def broken(path):
    for link in LINK.findall(prose(path)):
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def linked(path):
    names = (link.partition("#")[0] for link in LINK.findall(prose(path)))
    return {(path.parent / name).resolve() for name in names if name.endswith(".md")}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_anchors_exist(path):
    assert list(broken(path)) == []


@pytest.mark.parametrize("link", ["missing.md", "page.md#missing", "#missing"])
def test_a_broken_link_is_found(link, tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n\n[good](page.md#title) [good](#title) [bad]({link})\n")
    assert list(broken(page)) == [link]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_page_starts_with_its_only_title(path):
    titles = re.findall(r"^# .+$", prose(path), re.MULTILINE)
    assert len(titles) == 1
    assert path.read_text("utf-8").startswith(titles[0])


def test_the_readme_links_the_index():
    assert INDEX in linked(ROOT / "README.md")


def test_the_index_links_every_page_of_the_documentation():
    listed = linked(INDEX) | linked(DOCS / "shipped.md")
    assert {path for path in DOCS.rglob("*.md") if path != INDEX} - listed == set()


def test_every_page_can_be_reached_from_the_readme():
    reached, found = set(), {ROOT / "README.md"}
    while found:
        reached |= found
        found = {target for path in found for target in linked(path)} - reached
    assert set(PAGES) - reached == set()
