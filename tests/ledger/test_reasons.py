"""Every reason and every fault of the server has words."""

import ast
from pathlib import Path

import msgspec
import pytest

import gatepost
from gatepost.config.kinds import keys
from gatepost.config.schema import Config, LimitsConfig
from gatepost.ledger.records import Answer
from gatepost.ledger.words.reasons import (
    CORE,
    ENDS,
    FAULTS,
    Reason,
    explain_answer,
    explain_end,
    of_core,
)
from gatepost.model.decision import Decision
from gatepost.model.reply import Reply
from gatepost.plugin import chain
from gatepost.session import answers as core
from gatepost.session import replies as session_replies
from gatepost.wire import lmtp
from gatepost.wire.smtp import replies as wire_replies

SOURCE = Path(gatepost.__file__).parent
SEARCHED = [*(SOURCE / "session").rglob("*.py"), SOURCE / "plugin/chain.py"]
DECISIONS = {"accept", "deny", "defer", "Decision"}
# The position of `reason` in the arguments of Decision.
AT = Decision.__struct_fields__.index("reason")


def reasons_in(text):
    """Yield the reasons that are written in a source."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", "")
            found = [one.value for one in node.keywords if one.arg == "reason"]
            found = found if name in DECISIONS else []
            if name == "Decision":
                found += node.args[AT : AT + 1]
            if getattr(node.func, "attr", "") == "decide":  # of the refusal of traps
                found += node.args[:1]
            yield from (one.value for one in found if isinstance(one, ast.Constant))


REASONS = sorted({reason for path in SEARCHED for reason in reasons_in(path.read_text())} - {""})
# The functions that end a session or refuse a connection, with the key of the limit.
ENDING = {"limit_reached", "_refuse", "_end", "_dismiss", "timed_out"}


def limits_in(text):
    """Yield the keys of limits that are written in calls of these functions."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ENDING:
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.value


ALL = [*SEARCHED, *(SOURCE / "server").rglob("*.py")]
LIMITS = sorted({name for path in ALL for name in limits_in(path.read_text())})


def test_the_reasons_of_the_source_are_found():
    assert {"trap", "next-hop-refuses", "relay-denied"} <= set(REASONS)
    assert {"errors", "junk_commands", "auth_failures", "shutdown"} <= set(LIMITS)


@pytest.mark.parametrize("reason", [*REASONS, *LIMITS])
def test_every_reason_of_the_source_has_words(reason):
    assert of_core(reason) is not None


def test_every_answer_of_the_rules_has_words():
    answers = [one for one in vars(core).values() if isinstance(one, chain.Answer)]
    assert len(answers) > 10
    assert {one.decision.reason for one in answers} - set(CORE) == set()


def test_the_reason_of_a_failed_plugin_has_words():
    assert {one.reason for one in chain.ON_ERROR.values() if one is not None} <= set(CORE)


def refusals(module):
    return [one for one in vars(module).values() if isinstance(one, Reply) and one.code >= 400]


# Replies with a reason of their own: a limit, a shutdown or the greeting.
WITH_REASON = {
    session_replies.TOO_MANY_AUTH_FAILURES: "auth_failures",
    session_replies.TOO_MANY_IDLE_COMMANDS: "junk_commands",
    session_replies.TIMED_OUT: "command_timeout",
    session_replies.SESSION_TOO_LONG: "session_timeout",
    session_replies.SHUTTING_DOWN: "shutdown",
    session_replies.ENDED: "administrator",
    session_replies.TOO_MANY_CONNECTIONS: "connections",
    session_replies.EARLY_TALKER: "early-talker",
}


@pytest.mark.parametrize(
    "reply",
    [*refusals(wire_replies), *refusals(lmtp), *refusals(session_replies)],
    ids=str,
)
def test_every_refusal_of_the_protocol_has_words(reply):
    if reply in WITH_REASON:
        assert of_core(WITH_REASON[reply]) is not None
    else:
        text = str(reply.with_reference("ebebdad2-1.1"))
        answer = Answer("", "protocol", "deny", "protocol-error", text)
        assert explain_answer(answer) is FAULTS[reply.text]


def test_no_fault_of_the_table_is_outdated():
    known = {
        one.text for module in (wire_replies, lmtp, session_replies) for one in refusals(module)
    }
    assert set(FAULTS) - known == set()


@pytest.mark.parametrize("field", [field.name for field, _ in keys(LimitsConfig)])
def test_every_limit_has_the_words_of_the_configuration(field):
    reason = of_core(field)
    assert reason.setting == f"limits.{field}"
    assert f"limits.{field}" in reason.meaning


def settings():
    tables = (CORE, ENDS, FAULTS)
    return {key for table in tables for one in table.values() for key in one.setting.split(", ")}


# Keys of [[listen]], [[route]] and [[plugin]], which are arrays.
ARRAYS = {"listen": Config().listen[0], "route": None, "plugin": None}


@pytest.mark.parametrize("setting", sorted(settings() - {""}))
def test_every_setting_exists(setting):
    table, _, key = setting.partition(".")
    fields = {field.name: field.type for field in msgspec.structs.fields(Config)}
    assert table in fields
    if table not in ARRAYS:
        assert hasattr(getattr(Config(), table), key)
    page = (SOURCE.parents[1] / "docs/configuration.md").read_text()
    assert not key or f"`{key}`" in page


@pytest.mark.parametrize("reason", [*CORE.values(), *FAULTS.values(), *ENDS.values()])
def test_words_are_sentences(reason):
    for text in (reason.meaning, reason.change):
        assert not text or (text[0].isupper() or text[0] == "`")
        assert not text or text.endswith(".")


def test_a_plugin_answers_for_itself():
    reason = explain_answer(Answer("rcpt", "greylist", "defer", "greylisted"))
    assert "greylist" in reason.meaning
    assert "greylist" in reason.change


def test_a_plugin_may_use_a_reason_of_the_core():
    assert explain_answer(Answer("rcpt", "mine", "deny", "trap")) is not CORE["trap"]
    assert explain_answer(Answer("rcpt", "mine", "defer", "plugin-failed")) is CORE["plugin-failed"]


def test_unknown_reasons_have_words_too():
    assert isinstance(explain_answer(Answer("", "gatepost", "deny", "of a later version")), Reason)
    assert explain_answer(Answer("", "protocol", "deny", "", "500 New")) is CORE["protocol-error"]
    assert explain_end("of a later version").meaning == "The connection ended."
