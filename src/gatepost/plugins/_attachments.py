"""Find what a policy can have against the files in a message: names, contents, archives.

The files are those of all parts, also of messages and archives in them, TNEF, and text with
uuencode or yEnc. Each name that some reader could see is judged. Trusts: nothing. Limits: those of
`Policy` and `Budget`, and MOST_FINDINGS.
"""

import mimetypes
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from gatepost.plugins._archives import EXTENSIONS, LISTED_ONLY, kind_of, members
from gatepost.plugins._file_names import FileName, is_deceptive, readings, shown
from gatepost.plugins._file_types import HEAD, forbidden_type, guessed_type
from gatepost.plugins._mime import Limits, Structure, read
from gatepost.plugins._mime_decoding import IDENTITY, UU_BEGIN, decode
from gatepost.plugins._mime_defects import AMBIGUOUS, DEFECTS, defect_of, header_defects
from gatepost.plugins._mime_part import Part
from gatepost.plugins._mime_readers import other_names
from gatepost.plugins._tnef import MAGIC as TNEF
from gatepost.plugins._tnef import tnef_members
from gatepost.plugins._unpacking import RATIO, TIME, BombError, BrokenError, Budget, Member

MOST_FINDINGS = 100
# Files in texts of a message: more are an attempt to use up time.
MOST_IN_TEXT = 100
# Files that are ZIP archives of parts which are not opened one by one.
PACKAGES = frozenset(
    {
        *("docx", "docm", "dotx", "epub", "odg", "odp", "ods", "odt", "pages", "numbers", "key"),
        *("potx", "ppsx", "pptm", "pptx", "xlsm", "xlsx", "xltx", "xps"),
    }
)
_MESSAGES = frozenset({"eml", "mht", "mhtml"})
_UNNAMED = "unnamed"
# The extensions that mail programs give to files without a name, where `mimetypes` has none.
_EXTENSIONS = {
    "application/hta": "hta",
    "application/x-dosexec": "exe",
    "application/x-ms-shortcut": "lnk",
    "application/x-msdos-program": "exe",
    "application/x-msdownload": "exe",
    "text/vbscript": "vbs",
}
_Y_BEGIN = re.compile(rb"^=ybegin [^\r\n]{0,200}?name=([^\r\n]{1,255})", re.MULTILINE)
_TYPES = mimetypes.MimeTypes()  # without the files of the system


# The findings for limits of archives; for others it is "oversized".
_LIMITS = {RATIO: "bomb", TIME: "slow"}


class Finding(NamedTuple):
    """A finding: its kind, the name of the file or "", and a detail."""

    kind: str
    name: str = ""
    detail: str = ""


class Policy(NamedTuple):
    """The extensions of files, how deep archives are opened, and the limits of a message.

    With `allowed`, other extensions are findings. Files with names for which `is_exempt` is true
    are not judged.
    """

    forbidden: frozenset[str]
    allowed: frozenset[str] = frozenset()
    after_documents: frozenset[str] = frozenset()
    is_exempt: Callable[[str], bool] = lambda _name: False
    depth: int = 3
    limits: Limits = Limits()


class Inspection:
    """The inspection of one message. `findings` has each finding once, `files` their number."""

    def __init__(self, policy: Policy, budget: Budget) -> None:
        self._policy = policy
        self._budget = budget
        self.findings: dict[Finding, None] = {}
        self.files = 0
        self._in_text = 0

    def message(self, content: bytes) -> None:
        """Inspect a message."""
        structure = self._structure(content, self._policy.limits, 0)
        if not structure.exceeded:
            self._compare(structure, other_names(content))

    def _structure(self, content: bytes, limits: Limits, depth: int) -> Structure:
        structure = read(content, limits)
        if structure.exceeded:
            self._add("too_complex", detail=structure.exceeded)
        for part in structure.parts:
            self._part(part, depth)
        for defect in sorted(AMBIGUOUS & header_defects(structure)):
            self._add("malformed", detail=DEFECTS[defect])
        return structure

    def _compare(self, structure: Structure, others: Sequence[str]) -> None:
        """Judge the names that only other readers see."""
        own = _keys(name for part in structure.parts for name in part.names)
        hidden = [name for name in others if own.isdisjoint(_keys([name]))]
        if hidden:
            self._judge(hidden)
            self._add("malformed", hidden[0], "a file that only some readers see")

    def _part(self, part: Part, depth: int) -> None:
        names = part.names or _guessed_name(part)
        if part.is_container and (part.encoding in IDENTITY or not names):
            self._judge(names)
            return
        decoded = part.decoded()
        defect = defect_of(part.encoding)
        if decoded.is_malformed and defect in AMBIGUOUS:
            self._add("malformed", detail=DEFECTS[defect])
        if names:
            self._file(names, decoded.octets, depth)
        if part.kind.startswith("text/"):
            self._text(decoded.octets, depth)

    def _text(self, text: bytes, depth: int) -> None:
        """Inspect the files in a text."""
        for name, content in _in_text(text):
            self._in_text += 1
            if self._in_text > MOST_IN_TEXT:
                self._add("oversized", name, "files in text")
                return
            self._file([name], content, depth)

    def _file(self, names: Sequence[str], content: bytes, depth: int) -> None:
        """Inspect a file with its content."""
        self.files += 1
        if self._is_exempt(names):
            return
        self._judge(names)
        head = content[:HEAD]
        self._judge_type(names, forbidden_type(head, self._policy.forbidden))
        self._judge_type(names, guessed_type(head, self._policy.forbidden))
        self._open(names, content, depth)

    def _is_exempt(self, names: Iterable[str]) -> bool:
        return all(map(self._policy.is_exempt, names))

    def _judge(self, names: Iterable[str], *, is_packed: bool = False) -> None:
        """Judge the names of a file; those in a package need not be allowed."""
        for name in names:
            if is_deceptive(name):
                self._add("deceptive", name)
        read_names = [one for name in names for one in readings(name) if one.text]
        for one in read_names:
            kind = self._kind_of_name(one)
            if kind:
                self._add(kind, one.text, one.extension)
        if self._policy.allowed and not is_packed:
            self._judge_allowed(read_names)

    def _kind_of_name(self, name: FileName) -> str:
        if name.extension in self._policy.forbidden:
            return "extension"
        is_usual = name.extension in self._policy.after_documents
        return "double" if name.is_double and not is_usual else ""

    def _judge_allowed(self, names: Sequence[FileName]) -> None:
        """Judge by the extensions that are allowed; a name without one is one that was cut."""
        judged = [one for one in names if one.extension] or names
        for one in judged:
            if one.extension not in self._policy.allowed:
                self._add("not_allowed", one.text, one.extension)

    def _judge_type(self, names: Sequence[str], found: str) -> None:
        if found:
            self._add("content", names[0] if names else "", found)

    def _open(self, names: Sequence[str], content: bytes, depth: int) -> None:
        """Inspect the files in a file."""
        extensions = _extensions(names)
        name = names[0] if names else ""
        kind = kind_of(content)
        if content.startswith(TNEF):
            self._add("tnef", name)
            self._members(tnef_members(content, self._budget), _Archive(name, depth))
        elif kind:
            archive = _Archive(name, depth, kind in LISTED_ONLY, bool(extensions & PACKAGES))
            self._members(members(content, kind, name, self._budget), archive)
        elif extensions & EXTENSIONS.keys():
            self._add("broken", name, "no archive")
        elif extensions & _MESSAGES and self._may_open(name, depth):
            self._structure(content, self._policy.limits, depth + 1)

    def _may_open(self, name: str, depth: int) -> bool:
        """Return whether a file at this depth is opened; add a finding otherwise."""
        if depth >= self._policy.depth:
            self._add("nested", name)
        return depth < self._policy.depth

    def _members(self, found: Iterator[Member], archive: "_Archive") -> None:
        if not self._may_open(archive.name, archive.depth):
            return
        try:
            for member in found:
                self._member(member, archive)
        except BombError as error:
            limit = str(error)
            self._add(_LIMITS.get(limit, "oversized"), archive.name, limit)
        except BrokenError as error:
            self._add("broken", archive.name, str(error))

    def _member(self, member: Member, archive: "_Archive") -> None:
        self.files += 1
        names = [member.name] if member.name else []
        if member.is_encrypted:
            self._add("encrypted", archive.name)
        if names and self._is_exempt(names):
            return
        self._judge(names, is_packed=archive.is_package)
        if member.head is not None and member.read is not None:
            try:
                self._contents(names, member.head(), member.read, archive.depth + 1)
            except BrokenError as error:  # others can be read
                self._add("broken", archive.name, str(error))
        elif archive.is_listed_only and _extensions(names) & EXTENSIONS.keys():
            self._add("nested", member.name)

    def _contents(
        self, names: Sequence[str], head: bytes, read_all: Callable[[], bytes], depth: int
    ) -> None:
        self._judge_type(names, forbidden_type(head, self._policy.forbidden))
        if _is_opened(names, head):
            self._open(names, read_all(), depth)

    def _add(self, kind: str, name: str = "", detail: str = "") -> None:
        if len(self.findings) < MOST_FINDINGS:
            self.findings[Finding(kind, shown(name), shown(detail))] = None


class _Archive(NamedTuple):
    """A file that is opened: whether its files are only listed, and whether it is a package."""

    name: str
    depth: int
    is_listed_only: bool = False
    is_package: bool = False


def _keys(names: Iterable[str]) -> set[str]:
    """Return names as they are compared: readers decode characters that are not ASCII as they like.

    An extension is ASCII.
    """
    return {"".join(filter(str.isascii, one.text)) for name in names for one in readings(name)}


def _extensions(names: Iterable[str]) -> set[str]:
    return {one.extension for name in names for one in readings(name)}


def _is_opened(names: Sequence[str], head: bytes) -> bool:
    """Return whether a file in an archive is opened, by its name and its first octets."""
    known = not _extensions(names).isdisjoint(_MESSAGES | EXTENSIONS.keys())
    return known or bool(kind_of(head)) or head.startswith(TNEF)


def _guessed_name(part: Part) -> list[str]:
    """Return the name that mail programs give to a file without one, none for shown text."""
    dispositions = part.all("content-disposition")
    is_attached = any(one.lower().lstrip().startswith("attachment") for one in dispositions)
    if part.kind.startswith(("text/", "message/", "multipart/")) and not is_attached:
        return []
    guess = _TYPES.guess_extension(part.kind, strict=False) or ""
    extension = _EXTENSIONS.get(part.kind) or guess.lstrip(".")
    return [f"{_UNNAMED}.{extension}" if extension else _UNNAMED]


def _in_text(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of files in a text: those of uuencode, and names of yEnc."""
    begins = list(islice(_lines(text, b"begin", UU_BEGIN), MOST_IN_TEXT + 1))
    ends = [one.start() for one in begins[1:]] + [len(text)]
    for begin, end in zip(begins, ends, strict=False):
        yield _name(begin), decode(text[begin.start() : end], "x-uuencode").octets
    for begin in _lines(text, b"=ybegin", _Y_BEGIN):
        yield _name(begin), b""


def _name(found: re.Match[bytes]) -> str:
    return found[1].decode("utf-8", "replace").strip()


def _lines(text: bytes, start: bytes, pattern: re.Pattern[bytes]) -> Iterator[re.Match[bytes]]:
    """Yield the matches of a pattern at the starts of lines."""
    at = text.find(start)
    while at >= 0:
        match = pattern.match(text, at)
        if match:
            yield match
        at = text.find(start, at + 1)
