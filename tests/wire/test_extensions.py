"""The table of extensions is the only list: the others derive from it or agree with it."""

import pytest
from tests.wire.driver import HELLO, play

from gatepost.config.schema import LimitsConfig
from gatepost.session.steps.offer import keywords
from gatepost.wire import events as e
from gatepost.wire.smtp.commands import COMMANDS, OFFERED_COMMANDS
from gatepost.wire.smtp.syntax.extensions import (
    ANNOUNCED,
    EXTENSIONS,
    OPTIONAL_COMMANDS,
    PARAMETERS,
    TABLE,
)


def test_the_extensions_that_every_server_understands():
    assert set(TABLE) - EXTENSIONS == {"STARTTLS", "AUTH", "XCLIENT"}
    assert set(ANNOUNCED) == EXTENSIONS - {"DSN"}


def test_every_command_of_an_extension_has_its_row():
    verbs = {verb for row in TABLE.values() for verb in row.commands}
    assert verbs <= {*COMMANDS, *OFFERED_COMMANDS}
    assert set(OPTIONAL_COMMANDS) == set(OFFERED_COMMANDS)


def test_a_parameter_belongs_to_one_extension():
    for verb in ("mail", "rcpt"):
        count = sum(len(getattr(row, verb)) for row in TABLE.values())
        assert len(PARAMETERS[verb.upper()]) == count


def test_the_reply_to_ehlo_lists_the_announced_keywords_in_order():
    assert tuple(word.split()[0] for word in keywords(LimitsConfig())) == ANNOUNCED


@pytest.mark.parametrize("verb", OPTIONAL_COMMANDS)
def test_an_optional_command_is_unknown_without_its_extension(verb):
    assert play(HELLO + f"{verb} x\r\n".encode()).events[-1] == e.Unknown(verb, "x")


@pytest.mark.parametrize(
    ("keyword", "parameter"),
    [(keyword, name) for keyword, row in TABLE.items() for name in row.mail],
)
def test_a_parameter_is_unknown_without_its_extension(keyword, parameter):
    line = f"MAIL FROM:<a@b> {parameter}\r\n".encode()
    played = play(HELLO + line, extensions=EXTENSIONS - {keyword})
    assert played.replies[-1] == f"555 5.5.4 MAIL parameter not recognised: {parameter}"
