"""A missing program skips a test with the name and the reason."""

import pytest
from tests.e2e.clients import program
from tools import peers


def test_a_missing_program_is_named(monkeypatch):
    monkeypatch.setattr(peers, "_command", lambda name: f"{name} not found")
    with pytest.raises(pytest.skip.Exception, match=r"^swaks is missing: swaks not found$"):
        program("swaks")
