"""Judge files by their names: extensions, double extensions, characters that deceive readers.

A name is compared as Windows reads it: without regard to case, without blanks and dots at its end,
without a folder in front. Characters that are not shown, such as the right-to-left override that
shows "exe.pdf" for "fdp.exe", are removed first.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

# Programs, scripts and what starts them, images of disks, and formats that only malware uses.
FORBIDDEN = (
    *("ace", "ade", "adp", "apk", "application", "appref-ms", "appx", "appxbundle", "arj", "bas"),
    *("bat", "chm", "cmd", "com", "cpl", "desktop", "diagcab", "diagcfg", "diagpkg", "dll"),
    *("dmg", "exe", "gadget", "hlp", "hta", "img", "inf", "ins", "iso", "isp", "jar", "job"),
    *("jnlp", "js", "jse", "library-ms", "lnk", "mde", "mjs", "msc", "msh", "msi", "msix"),
    *("msixbundle", "msp", "mst", "ocx", "pif", "ps1", "ps1xml", "ps2", "psc1", "psd1"),
    *("psm1", "pyz", "pyzw", "reg", "scf", "scr", "sct", "search-ms"),
    *("settingcontent-ms", "shb", "shs", "sys", "udf", "url", "vb", "vbe", "vbs", "vhd", "vhdx"),
    *("vxd", "wim", "wsc", "wsf", "wsh", "xll", "{clsid}"),
)
DOCUMENTS = frozenset(
    {
        *("avi", "bmp", "csv", "doc", "docx", "eml", "gif", "jpeg", "jpg", "mov", "mp3", "mp4"),
        *("msg", "odp", "ods", "odt", "pdf", "png", "ppt", "pptx", "rtf", "tif", "tiff", "txt"),
        *("wav", "xls", "xlsx", "xml"),
    }
)
# Behind the extension of a document these are usual: archives, signatures, encryption.
AFTER_DOCUMENTS = (
    *("7z", "asc", "bz2", "gpg", "gz", "p7m", "p7s", "pgp", "rar", "sig", "xz", "zip", "zst"),
)

MAX_NAME = 1000
_SHOWN = 40
_OVERRIDES = frozenset("\u202a\u202b\u202d\u202e\u2066\u2067\u2068")
_HIDDEN = frozenset({"Cc", "Cf", "Zl", "Zp"})
_CLASS = re.compile(r"\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}")
_AT_THE_END = " .\"'\t\u00a0"


class FileName(NamedTuple):
    """A name as it is compared: its last extension, and the one in front of it, or ""."""

    text: str
    extension: str
    before: str

    @property
    def is_double(self) -> bool:
        """Return whether the extension of a document is followed by that of something else."""
        return self.before in DOCUMENTS and self.extension not in DOCUMENTS


def readings(name: str) -> Iterator[FileName]:
    """Yield what readers take for a name: some end it at a NUL, or at the name of a stream."""
    name = name[:MAX_NAME]
    yield from dict.fromkeys(
        map(_read, (name, name.partition("\0")[0], re.split(r"[/\\]", name)[-1].partition(":")[0]))
    )


def _read(name: str) -> FileName:
    name = unicodedata.normalize("NFKC", name)
    name = "".join(one for one in name if unicodedata.category(one) not in _HIDDEN)
    name = re.split(r"[/\\]", name)[-1].rstrip(_AT_THE_END).strip().lower()
    stem, dot, extension = name.rpartition(".")
    before = stem.rpartition(".")[2] if "." in stem else ""
    extension = "{clsid}" if _CLASS.fullmatch(extension) else extension.strip()
    return FileName(name, extension if dot else "", before.strip())


def is_deceptive(name: str) -> bool:
    """Return whether a name has characters that reverse the order in which it is shown."""
    return not _OVERRIDES.isdisjoint(name[:MAX_NAME])


def shown(name: str) -> str:
    """Return a name for replies and logs: printable, and not long."""
    text = "".join(one if one.isprintable() else "?" for one in name)
    return text if len(text) <= 2 * _SHOWN else f"{text[:_SHOWN]}...{text[-_SHOWN:]}"
