"""ARC chains, and what trusted forwarders state."""

import json
from pathlib import Path

import pytest
from tests.plugins.signing import message, transcript

from gatepost import Plugin
from gatepost.plugins.arc import Arc
from gatepost.testing import FakeResolver, play

SUITE = Path(__file__).parents[1] / "suites/arc-valimail/arc-draft-validation-tests.json"
SCENARIO = json.loads(SUITE.read_text("utf-8"))[0]
DNS = FakeResolver(txt=SCENARIO["txt-records"])
SEALED = SCENARIO["tests"]["cv_pass_i1_1"]["message"].replace("\n", "\r\n").encode()


class Seen(Plugin):
    """Keeps the result."""

    after = frozenset({"arc"})

    def on_message(self, tx):
        self.result = tx.results.get("arc")


def result(content, *trusted, resolver=DNS):
    seen = Seen()
    play(transcript(content), [Arc(trusted=list(trusted)), seen], resolver=resolver)
    return seen.result


def test_a_chain_passes():
    found = result(SEALED)
    assert (found.value, found.facts["domain"]) == ("pass", "example.org")
    assert "dmarc" not in found.facts


@pytest.mark.parametrize("trusted", ["example.org", ".org"])
def test_the_statement_of_a_trusted_forwarder_is_used(trusted):
    facts = result(SEALED, trusted).facts
    assert (facts["trusted"], facts["dmarc"]) == (True, "pass")


def test_a_changed_message_fails_whatever_the_forwarder_states():
    found = result(SEALED.replace(b"Hey gang", b"Buy this"), "example.org")
    assert found.value == "fail"
    assert "dmarc" not in found.facts


def test_a_message_without_arc_has_no_result():
    assert result(message()) is None


def test_a_key_that_cannot_be_looked_up_is_a_failure():
    dead = FakeResolver(fail=["dummy._domainkey.example.org"])
    assert result(SEALED, resolver=dead).value == "fail"
    assert "temporary" not in result(SEALED, resolver=dead).facts
    assert result(SEALED, "example.org", resolver=dead).facts["temporary"]
