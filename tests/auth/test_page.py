"""docs/auth.md agrees with the code."""

from pathlib import Path

from gatepost.auth.passwords import WAITING
from gatepost.config.kinds import keys
from gatepost.config.schema import LimitsConfig
from gatepost.session.steps.authentication import FIRST_DELAY

PAGE = " ".join((Path(__file__).parents[2] / "docs" / "auth.md").read_text("utf-8").split())


def test_the_page_has_every_limit_on_auth():
    names = [field.name for field, _ in keys(LimitsConfig) if field.name.startswith("auth_")]
    assert [name for name in names if f"`limits.{name}`" not in PAGE] == []


def test_the_page_has_the_delays_and_the_size_of_the_queue():
    assert FIRST_DELAY == 1.0
    assert "delayed by 1 second, then 2, then 4" in PAGE
    assert WAITING == 5
    assert "five times as many wait" in PAGE
    (about,) = (key.about for field, key in keys(LimitsConfig) if field.name == "auth_checks")
    assert "Five times as many wait" in about
