"""The Authentication-Results field of the server, and the removal of forged ones."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from tests.session.dialogue import config, plugin
from tests.session.test_recipients import ONE, transcript

from gatepost.config.schema import ServerConfig
from gatepost.model.decision import deny
from gatepost.model.results import Results
from gatepost.session.content.auth_results import is_ours, results_field
from gatepost.testing import play

HOST = "mx.example.com"
SETTINGS = config(server=ServerConfig(hostname=HOST))


def received(fields, *plugins, protocol="smtp", end=("250",), **options):
    lines = "".join(f"C: {line}\n" for line in fields)
    content = f"C: DATA\nS: 354\n{lines}C: Subject: x\nC:\nC: text\nC: .\n"
    text = transcript(protocol, [ONE], end, content=content)
    with capture_logs() as logs:
        played = play(text, plugins, protocol=protocol, config=SETTINGS, **options)
    return played.messages, logs


def added(*results):
    def on_message(tx):
        for name, value, facts in results:
            tx.results.add(name, value, **facts)

    return plugin(on_message=on_message)


def field(*results):
    made = Results()
    for name, value, facts in results:
        made.add(name, value, **facts)
    return results_field(made, HOST).decode()


def test_the_field_comes_after_received():
    spf = added(("spf", "fail", {"mailfrom": "a@client.example", "score": 2}))
    [message], _ = received([], spf)
    head = message.content.decode().split("\r\nSubject: x")[0]
    assert head.startswith("Received: ")
    assert head.endswith(
        "\r\nAuthentication-Results: mx.example.com;\r\n\tspf=fail smtp.mailfrom=a@client.example"
    )


def test_results_without_a_method_add_no_field():
    [message], _ = received([], added(("karma", "bad", {"score": 1})))
    assert b"Authentication-Results" not in message.content


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (("spf", "pass", {"helo": "x.example"}), "spf=pass smtp.helo=x.example"),
        (
            ("dkim", "pass", {"domain": "a.example", "selector": "s1", "signature": "dE4+/a=="}),
            'dkim=pass header.d=a.example header.s=s1 header.b="dE4+/a=="',
        ),
        (("dmarc", "fail", {"domain": "a.example"}), "dmarc=fail header.from=a.example"),
        (("arc", "pass", {"ip": "2001:db8::1"}), 'arc=pass smtp.remote-ip="2001:db8::1"'),
        (("iprev", "pass", {"ip": "192.0.2.1"}), "iprev=pass policy.iprev=192.0.2.1"),
        (("auth", "pass", {"user": "ann b"}), 'auth=pass smtp.auth="ann b"'),
        (
            ("spf", "temp_error", {"reason": 'no "x"\r\nX: y'}),
            r'spf=temp-error reason="no \"x\"??X: y"',
        ),
        (("spf", "pass", {"mailfrom": "ö@x.example"}), 'spf=pass smtp.mailfrom="?@x.example"'),
        (("spf", "pass", {"mailfrom": "@x.example"}), "spf=pass smtp.mailfrom=@x.example"),
    ],
)
def test_facts_become_properties(result, expected):
    assert " ".join(field(result).split()) == f"Authentication-Results: {HOST}; {expected}"


values = st.text(max_size=300) | st.sampled_from(
    ["a@b.example", 'x"; dkim=pass', "a\\", "(c", "\r\n"]
)


@given(
    st.lists(
        st.tuples(st.sampled_from(["spf", "dkim", "auth"]), values, values), min_size=1, max_size=9
    )
)
@example([("spf", "x" * 300, "y" * 300)] * 9)
def test_no_value_ends_the_field_or_adds_a_result(results):
    facts = {
        "spf": ("mailfrom", "helo"),
        "dkim": ("domain", "selector"),
        "auth": ("user", "reason"),
    }
    text = field(
        *((name, "pass", dict(zip(facts[name], both, strict=True))) for name, *both in results)
    )
    assert text.isascii()
    assert text.endswith("\r\n")
    lines = text[:-2].split("\r\n")
    assert max(map(len, lines)) <= 998
    assert all(line.startswith("\t") and line.strip() for line in lines[1:])
    unquoted = re.sub(r'"(?:[^"\\]|\\.)*"', "", text)
    assert unquoted.count(";") == len(results)
    assert '"' not in unquoted


FORGED = [
    "Authentication-Results: mx.example.com; spf=pass",
    "AUTHENTICATION-RESULTS : (a (nested \\) comment)) MX.example.com 1; dkim=pass",
    'Authentication-Results:\tC:  "mx.example.com"; none'.replace("\tC:", ""),
    "Authentication-Results: mx.example.com.",
]
OTHERS = [
    "Authentication-Results: other.example; spf=pass",
    "Authentication-Results: not-mx.example.com; spf=pass",
    "ARC-Authentication-Results: i=1; mx.example.com; spf=pass",
    "Authentication-Results:",
    "X-Authentication-Results: mx.example.com; spf=pass",
]


@pytest.mark.parametrize("forged", FORGED)
def test_forged_fields_are_removed(forged):
    seen = []
    read = plugin(
        on_headers=lambda _tx, headers: seen.append(headers.get("Authentication-Results"))
    )
    [message], logs = received([forged, *OTHERS], read)
    assert seen == ["other.example; spf=pass"]
    lines = message.content.decode().split("\r\n")
    assert forged not in lines
    assert set(OTHERS) <= set(lines)
    [edited] = [line["edits"] for line in logs if line["event"] == "accepted"]
    assert "removed Authentication-Results" in edited[0]


def test_an_address_literal_as_id_is_quoted():
    made = Results()
    made.add("spf", "pass")
    assert results_field(made, "[192.0.2.1]").startswith(
        b'Authentication-Results: "[192.0.2.1]";\r\n'
    )


def test_a_folded_forged_field_is_removed():
    lines = ["Authentication-Results: (a", " b)", "\tmx.example.com", " 1; spf=pass"]
    [message], _ = received(lines)
    assert b"spf=pass" not in message.content


def test_lmtp_clients_are_trusted_until_there_are_results():
    kept, _ = received(FORGED[:1], protocol="lmtp")
    assert FORGED[0].encode() in kept[0].content
    replaced, _ = received(FORGED[:1], added(("spf", "fail", {})), protocol="lmtp")
    assert replaced[0].content.count(b"mx.example.com; spf=pass") == 0
    assert b"mx.example.com;\r\n\tspf=fail\r\n" in replaced[0].content


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_a_header_block_that_cannot_be_edited_is_refused(protocol, monkeypatch):
    monkeypatch.setattr("gatepost.model.edits.MAX_BLOCK", 50)
    found, _ = received(
        FORGED[:1], added(("spf", "fail", {})), protocol=protocol, end=("552 5.3.4 *",)
    )
    assert found == []


@pytest.mark.parametrize(
    ("value", "ours"),
    [
        ("mx.example.com", True),
        ("mx.example.com;none", True),
        ("mx.example.com(c); none", True),
        ('"mx\\.example.com" 1; none', True),
        ("(" * 2000 + "mx.example.com", True),
        ("(" * 99 + "c" + ")" * 99 + "mx.example.com; none", True),
        ("MX.Example.COM;none", True),
        ("mx.example.com 1; none", True),
        ("mx.example.com/1; none", True),
        ("mx.example.com=1; none", True),
        ("mx.example.com..;none", True),
        ('"MX.example.com";none', True),
        ('" mx.example.com ";none', True),
        ('"mx.example.com', True),
        ("\x0b\u00a0mx.example.com;none", True),
        ("\0mx.example.com\0;none", True),
        ("\t(a)\t(b) mx.example.com (c) 1 (d); none", True),
        ("mx.exam\u00adple.com;none", True),
        ("\uff4dx.example\u3002com;none", True),
        ("xmx.example.com;none", False),
        ("mx.example.com.evil.example 1;none", False),
        ("(never ends mx.example.com", True),
        ("mx.example.com.evil.example; none", False),
        ("(mx.example.com) other; none", False),
        (";mx.example.com", False),
        ("", False),
    ],
)
def test_the_id_is_compared_whatever_its_form(value, ours):
    assert is_ours(value, HOST) is ours


@pytest.mark.parametrize(
    ("value", "hostname"),
    [
        ("m\u00fcller.example; none", "xn--mller-kva.example"),
        ("XN--mller-KVA.example; none", "m\u00fcller.example"),
        ('"m\u00fcller.example"; none', "xn--mller-kva.example"),
        ("[192.0.2.1]; none", "[192.0.2.1]"),
        ('"[192.0.2.1]" 1; none', "[192.0.2.1]"),
    ],
)
def test_the_id_is_compared_as_a_domain_name(value, hostname):
    assert is_ours(value, hostname)


@given(st.text(alphabet='()\\" ;amx.example.com', max_size=60))
def test_any_value_can_be_compared(value):
    assert is_ours(value, HOST) in (True, False)
    assert is_ours(f"{HOST};{value}", HOST)


def test_a_refused_message_gets_no_field():
    refuse = plugin(on_message=lambda _tx: deny("no"))
    found, _ = received([], added(("spf", "fail", {})), refuse, end=("554",))
    assert found == []
