"""Transcripts for the tests of examples, and real servers that run for a module."""

import importlib
import sys
import warnings

import pytest
from tools import clamd, peers, rspamd

OPEN = """
    S: 220
    C: EHLO client.example
    S: 250
    C: MAIL FROM:<a@client.example>
    S: 250
    C: RCPT TO:<user@example.com>
    S: 250
    C: DATA
    S: 354
"""


@pytest.fixture(scope="session")
def send():
    """Return a function that makes the transcript of a message: its lines, then the reply."""

    def transcript(content, reply="250"):
        lines = "".join(f"    C: {line}\n" for line in content.splitlines())
        return f"{OPEN}{lines}    C: .\n    S: {reply}\n"

    return transcript


@pytest.fixture(scope="session")
def packages():
    """Make dkimpy, pyspf and ldap3 importable; skip the test if they are not available."""
    command = peers.find("cookbook")
    if command is None:
        reason = peers.missing(["cookbook"])["cookbook"]
        pytest.skip(f"dkimpy, pyspf and ldap3 are missing: {reason}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, *command.env["PYTHONPATH"].split(":")])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # ldap3 uses old names of pyasn1
            importlib.import_module("ldap3")
        yield


@pytest.fixture(scope="module")
def clamd_socket(tmp_path_factory):
    if reason := clamd.why_not():
        pytest.skip(f"clamd is missing: {reason}")
    with clamd.running(tmp_path_factory.mktemp("clamd")) as path:
        yield path


@pytest.fixture(scope="module")
def start_rspamd(tmp_path_factory):
    """Return a context manager that runs rspamd with rules."""
    if reason := rspamd.why_not():
        pytest.skip(f"rspamd is missing: {reason}")
    return lambda rules="": rspamd.running(tmp_path_factory.mktemp("rspamd"), rules)
