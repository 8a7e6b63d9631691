"""The real postconf, from the package that tools/peers.py unpacks."""

import os
from pathlib import Path

import pytest
from tools import peers


def use_postconf(monkeypatch):
    """Put it into the PATH, or skip the test."""
    if missing := peers.missing(["postfix"]):
        pytest.skip(f"postfix is missing: {missing['postfix']}")
    command = peers.find("postfix")
    folder = str(Path(command.prefix[0]).parent)
    monkeypatch.setenv("PATH", os.pathsep.join([folder, os.environ["PATH"]]))
    monkeypatch.setenv("LD_LIBRARY_PATH", command.env["LD_LIBRARY_PATH"])
