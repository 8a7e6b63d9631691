"""Rules with regular expressions about the envelope, the header and the text."""

import asyncio
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.plugins.mails import DOMAINS, transcript

from gatepost import Plugin
from gatepost.lists.entry import LineError
from gatepost.plugins._regex_rules import RuleSet, parse_rule
from gatepost.plugins.regex import MOST_MATCHES, SMALL, Regex, text_parts
from gatepost.testing import play

MESSAGE = [
    "From: =?utf-8?q?W=C3=ADnner?= <a@client.example>",
    "Subject: you have",
    " won",
    "X-Tool: Bulk 3",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: base64",
    "",
    b64encode("the price f\u00fcr you".encode()).decode(),
]
PEER = ("198.51.100.7", 50000)


class Names(Plugin):
    """Stands for `iprev`, and keeps the results."""

    def on_connect(self, session):
        session.results.add("iprev", "pass", name="host.client.example")

    def after_message(self, tx, outcome):
        self.results = tx.results.all("regex")


def rule(where, pattern, reaction=1, name="one", **more):
    return {"name": name, "where": where, "pattern": pattern, "reaction": reaction, **more}


def found(*rules, message=MESSAGE, sender="a@client.example", end="S: 250", **options):
    names = Names()
    played = play(
        transcript(message, sender=sender, end=end),
        [names, Regex(rules=rules, **options)],
        config=DOMAINS,
        peer=PEER,
    )
    return [(one.facts["rule"], one.score) for one in names.results], played


CASES = [
    ("client", r"^198\.51\.100\.7$"),
    ("client", r"^host\.client\.example$"),
    ("helo", "^CLIENT"),
    ("sender", "^a@"),
    ("recipient", r"^b@example\.com$"),
    ("header", "^x-tool: bulk"),
    ("header:X-TOOL", r"^bulk \d"),
    ("subject", "have won"),
    ("Subject", "(?-i)^you"),
    ("from", "w\u00ednner"),
    ("from", r"=\?utf-8"),
    ("text", "f\u00fcr you"),
    ("body", "^" + MESSAGE[-1][:8]),
    ("raw", "(?m)^subject: you have$"),
]


@pytest.mark.parametrize(("where", "pattern"), CASES)
def test_a_rule_is_searched_in_its_place(where, pattern):
    results, played = found(rule(where, pattern, 2))
    assert results == [("one", 2)]
    assert played.metrics.value("gatepost_plugin_regex_found", rule="one") == 1


@pytest.mark.parametrize("where", ["client", "helo", "header", "header:x", "text", "body", "raw"])
def test_a_pattern_that_is_not_found_has_no_result(where):
    assert found(rule(where, "^nothing$"))[0] == []


def test_the_null_sender_is_empty():
    assert found(rule("sender", "^$"), sender="")[0] == [("one", 1)]
    assert found(rule("sender", "^$"))[0] == []


@pytest.mark.parametrize("where", ["helo", "sender", "recipient"])
def test_the_envelope_can_be_refused_at_rcpt(where):
    script = (
        "S: 220\nC: EHLO client.example\nS: 250\nC: MAIL FROM:<a@client.example>\nS: 250\n"
        "C: RCPT TO:<b@example.com>\nS: 550 5.7.1 not you*"
    )
    played = play(script, [Regex(rules=[rule(where, "a", "deny", text="not you")])])
    assert [(one.hook, one.reason) for one in played.decisions] == [("rcpt", "one")]


@pytest.mark.parametrize("where", ["subject", "text"])
@pytest.mark.parametrize(
    ("word", "reply"), [("deny", "554 5.7.1 Message refused*"), ("defer", "451 4.7.1 *")]
)
def test_the_content_can_be_refused_and_deferred(where, word, reply):
    results, _ = found(rule(where, "you", word), end=f"S: {reply}")
    assert results == [("one", 0)]


def test_a_refusal_comes_before_a_deferral():
    rules = [rule("subject", "won", "defer"), rule("raw", "won", "deny", name="two")]
    _, played = found(*rules, end="S: 554")
    assert [one.reason for one in played.decisions] == ["two"]


def test_every_rule_that_matches_has_its_points():
    rules = [rule("subject", "won", 1.5), rule("subject", "have", -1, name="two")]
    assert found(*rules)[0] == [("one", 1.5), ("two", -1)]


def test_a_rule_counts_once():
    assert found(rule("subject", "won"), rule("text", "price"))[0] == [("one", 1)]


def test_the_number_of_results_is_limited():
    rules = [rule("subject", "won", name=f"r{number}") for number in range(MOST_MATCHES + 5)]
    assert len(found(*rules)[0]) == MOST_MATCHES


def test_octets_behind_the_limit_are_not_searched():
    message = ["Subject: x", "", "a" * 900, "secret"]
    assert found(rule("body", "secret"), message=message)[0] == [("one", 1)]
    assert found(rule("body", "secret"), message=message, scan=500)[0] == []


def test_much_text_is_searched_in_a_thread(monkeypatch):
    threads = []
    to_thread = asyncio.to_thread

    def counted(function, *arguments):
        threads.append(function.__name__)
        return to_thread(function, *arguments)

    monkeypatch.setattr(asyncio, "to_thread", counted)
    long = ["Subject: x", "", *["a" * 900] * (SMALL // 900 + 1), "secret"]
    assert found(rule("text", "secret"), message=long)[0] == [("one", 1)]
    assert found(rule("text", "price"))[0] == [("one", 1)]
    assert threads.count("_search") == 1


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        (rule("subject", "("), r"rules\[0\]\.pattern: expected a regular expression of RE2 \(.*\)"),
        (rule("subject", "a" * 5000), r"rules\[0\]\.pattern: expected a simpler"),
        (rule("subjekt", "a"), "expected one of client, helo.*found 'subjekt'"),
        (rule("header:a b", "a"), "expected one of client"),
        (rule("subject", "a", name=""), "expected a name"),
        (rule("subject", "a", "drop"), 'expected "deny", "defer"'),
    ],
)
def test_a_wrong_rule_is_refused(wrong, problem):
    with pytest.raises(ValueError, match=problem):
        Regex(rules=[wrong])


FILE = """\
# Rules about the subject.
won   subject      2     /have( \\/)? won/
bulk  header:X-Tool deny /bulk/   Send your newsletter elsewhere
"""


def test_rules_can_be_in_a_file(tmp_path):
    (tmp_path / "rules").write_text(FILE)
    path = str(tmp_path / "rules")
    results, _ = found(files=[path], end="S: 554 5.7.1 Send your newsletter elsewhere*")
    assert results == [("won", 2), ("bulk", 0)]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("won subject 1 /(/", ":2: expected a regular expression of RE2"),
        ("won subject 1 pattern", ":2: expected NAME WHERE REACTION /pattern/"),
        ("won subject drop /x/", ':2: expected "deny", "defer"'),
        ("won nowhere 1 /x/", ":2: expected one of client"),
        ("won subject nan /x/", ':2: expected "deny", "defer"'),
    ],
)
def test_a_wrong_line_keeps_the_server_from_starting(tmp_path, line, problem):
    path = tmp_path / "rules"
    path.write_text(f"# comment\n{line}\n")
    with pytest.raises(ValueError, match=problem) as caught:
        Regex(files=[str(path)])
    assert str(path) in str(caught.value)


def test_a_missing_file_keeps_the_server_from_starting(tmp_path):
    with pytest.raises(ValueError, match="cannot be read"):
        Regex(files=[str(tmp_path / "none")])


def test_the_first_bad_lines_are_shown(tmp_path):
    (tmp_path / "rules").write_text("x\n" * 5)
    with pytest.raises(ValueError, match=r"; and 2 more$"):
        Regex(files=[str(tmp_path / "rules")])


def test_a_file_is_read_again_when_it_changes(tmp_path):
    path = tmp_path / "rules"
    path.write_text("one subject 1 /never/\n")
    plugin, names = Regex(files=[str(path)]), Names()
    play(transcript(MESSAGE), [plugin, names], config=DOMAINS)
    assert names.results == []
    replace(path, "one subject 1 /won/\nbad\n")
    plugin.refresh()
    play(transcript(MESSAGE), [plugin, names], config=DOMAINS)
    assert [one.facts["rule"] for one in names.results] == ["one"]


def replace(path, text):
    """Write a file at once, with another inode."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def test_a_file_that_disappears_leaves_its_rules(tmp_path):
    path = tmp_path / "rules"
    path.write_text("one subject 1 /won/\n")
    plugin = Regex(files=[str(path)])
    path.unlink()
    plugin.refresh()
    plugin.refresh()
    (version,) = plugin._versions()[1:]
    assert len(version) == 1


@given(st.text(max_size=60) | st.from_regex(r"\w+ subject [0-9]+ /.{1,20}/ ?\w*", fullmatch=True))
def test_any_line_is_a_rule_or_an_error(line):
    try:
        parsed = parse_rule(line, "rules", 1)
    except LineError:
        return
    assert parsed is None or len(RuleSet([parsed])) + len(RuleSet([parsed]).errors) == 1


@given(st.binary(max_size=300))
def test_any_content_has_text_parts(content):
    assert all(isinstance(one, str) for one in text_parts(content))
