"""Sign a zone with DNSSEC, by the tools of ldns.

zone, anchor = ldns.signed(folder, "signed.example", text)
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from tools import peers

NAMES = ("ldns-keygen", "ldns-signzone")
ALGORITHM = "ECDSAP256SHA256"


def why_not() -> str:
    """Return why zones cannot be signed here, or ""."""
    return "; ".join(peers.missing(NAMES).values())


def signed(folder: Path, name: str, zone: str) -> tuple[str, str]:
    """Return the text of a signed zone, and its trust anchor (a DS record).

    Raise `peers.UnavailableError` if the tools are not available.
    """
    (folder / "unsigned").write_text(zone)
    key = _run(folder, "ldns-keygen", "-a", ALGORITHM, "-k", name)
    _run(folder, "ldns-signzone", "-o", name, "-f", "signed", "unsigned", key)
    return (folder / "signed").read_text(), (folder / f"{key}.ds").read_text().strip()


def _run(folder: Path, name: str, *arguments: str) -> str:
    command = peers.find(name)
    if command is None:
        raise peers.UnavailableError(why_not())
    done = subprocess.run(
        command.argv(*arguments),
        env=command.env,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
