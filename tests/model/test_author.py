"""The author of an edit is found when it is needed."""

import pytest

from gatepost.model.author import UNKNOWN, Named, Turn

AUTHORS = (Named("a"), Named("b", shadow=True), Named("c"))


@pytest.mark.parametrize("start", [0, 1, 2])
def test_a_turn_names_the_author_that_was_passed_last(start):
    calls = iter(AUTHORS[start:])
    turn = Turn(AUTHORS, calls)
    for author in calls:
        assert (turn.plugin, turn.shadow) == (author.plugin, author.shadow)
    assert turn.plugin == "c"


def test_an_unknown_author_has_no_name():
    assert (UNKNOWN.plugin, UNKNOWN.shadow) == ("", False)
