"""A program that cannot be had leaves a test out, and says which one and why."""

import pytest
from tests.e2e.clients import program
from tools import peers


def test_missing_program_is_named(monkeypatch):
    monkeypatch.setattr(peers, "_command", lambda name: f"no {name} anywhere")
    with pytest.raises(pytest.skip.Exception, match=r"^swaks is missing: no swaks anywhere$"):
        program("swaks")
