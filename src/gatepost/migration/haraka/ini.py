"""INI files of Haraka, as its reader understands them.

Keys before the first section are in the section `main`. `key[] = value` adds to a list. A line that
ends with a backslash continues. Comments begin with `;` or `#`. A line of another form is dropped,
and is a finding.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from gatepost.migration.findings import Findings
from gatepost.migration.source import Line, Source

MAIN = "main"

_SECTION = re.compile(r"\[([^\]]*)\]")
_KEY = re.compile(r"([\w@:._+\-/[\]]+)\s*(?:=\s*(.*))?", re.ASCII)
_TRUE = re.compile(r"true|yes|ok|enabled|on|1", re.IGNORECASE)


class Ini:
    """The sections of a file, each with its keys and their values."""

    def __init__(self, sections: Mapping[str, Mapping[str, list[str]]], place: str) -> None:
        self._sections = sections
        self.place = place

    def sections(self) -> Iterator[str]:
        """Yield the names of all sections but `main`."""
        return (name for name in self._sections if name != MAIN)

    def keys(self, section: str) -> Iterator[str]:
        """Yield the keys of a section."""
        return iter(self._sections.get(section, {}))

    def all(self, section: str, key: str) -> list[str]:
        """Return the values of a key: the items of a list, or those between commas and blanks."""
        values = self._sections.get(section, {}).get(key, [])
        return [one for value in values for one in re.split(r"[\s,;]+", value) if one]

    def get(self, key: str, default: str = "", section: str = MAIN) -> str:
        """Return the value of a key, the last one of a list."""
        values = self._sections.get(section, {}).get(key)
        return values[-1] if values else default

    def number(self, key: str, section: str = MAIN, most: int = 10**9) -> int | None:
        """Return a whole number of at most `most`, None without a valid one."""
        text = self.get(key, section=section)
        is_number = text.isascii() and text.isdigit() and len(text) < 16
        return int(text) if is_number and int(text) <= most else None

    def true(self, section: str, key: str, *, default: bool = False) -> bool:
        """Return whether a key is true; the default if it is not there."""
        values = self._sections.get(section, {}).get(key)
        return bool(_TRUE.fullmatch(values[-1])) if values else default


def read_ini(source: Source, *names: str) -> Ini:
    """Return the first of the files that is there; an empty one without any."""
    name = next((one for one in names if source.has(one)), names[0])
    return parse_ini(source.values(name), source.findings, source.place(name))


def parse_ini(lines: Iterable[Line], findings: Findings, place: str) -> Ini:
    """Return the sections in the lines of a file."""
    sections: dict[str, dict[str, list[str]]] = {MAIN: {}}
    section, begun = sections[MAIN], ""
    for line in lines:
        name = _SECTION.fullmatch(line.text)
        if name:
            section = sections.setdefault(name[1].strip(), {})
        elif line.text.endswith("\\"):
            begun += line.text[:-1]
        else:
            _set(section, begun + line.text, line, findings)
            begun = ""
    return Ini(sections, place)


def _set(section: dict[str, list[str]], text: str, line: Line, findings: Findings) -> None:
    match = _KEY.fullmatch(text)
    if match is None:
        findings.bad_line(line.file, line.number, "expected a key and a value")
        return
    key, value = match[1], (match[2] or "").strip()
    if key.endswith("[]"):
        section.setdefault(key.removesuffix("[]"), []).append(value)
    else:
        section[key] = [value]
