"""The pages of the documentation, and how to find their parts."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
# The pages in docs/, by their paths without the suffix.
NAMES = sorted(str(path.relative_to(DOCS).with_suffix("")) for path in DOCS.rglob("*.md"))
# All pages: those, and the files in the top folder.
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md")])
FENCE = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)


def page(name):
    return (DOCS / f"{name}.md").read_text("utf-8")


def prose(path):
    """The text of a page without its blocks of code."""
    return FENCE.sub("", path.read_text("utf-8"))


def blocks(name, language):
    return blocks_of(DOCS / f"{name}.md", language)


def blocks_of(path, language):
    text = path.read_text("utf-8")
    found = re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found, f"no {language} in {path.name}"
    return found


def section(name, heading):
    """The text under a heading, up to the next one of any level."""
    return section_of(DOCS / f"{name}.md", heading)


def section_of(path, heading):
    text = path.read_text("utf-8")
    match = re.search(
        rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text, re.DOTALL | re.MULTILINE
    )
    assert match, f"no section {heading} in {path.name}"
    return match[1]


def rows(text):
    """The cells of the tables in a text, without their headers."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    ruler = [number for number, row in enumerate(cells) if set(row[0]) <= {"-", " "}]
    heads = {number - 1 for number in ruler} | set(ruler)
    return [row for number, row in enumerate(cells) if number not in heads]
