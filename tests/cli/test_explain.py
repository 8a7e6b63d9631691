"""`gatepost explain`: by reference, Message-ID, address, client and network."""

import json

import pytest
from tests.cli.ledgers import FOLDER, write
from tests.ledger.mail_records import GOOD, MORNING

from gatepost.ledger.records import Transaction


@pytest.mark.parametrize(
    "words",
    [
        ["ebebdad2-1.1"],
        ["[ebebdad2-1.1]"],
        ["ebebdad2-1"],
        ["554 5.7.1 Message refused by local policy [ebebdad2-1.1]"],
        ["554", "5.7.1", "Message", "refused", "[ebebdad2-1.1]"],
        ["offers@client.example"],
        ["trap@example.com"],
    ],
    ids=" ".join,
)
def test_a_message_is_explained(run, ledger, words):
    result = run("explain", *words)
    assert result.exit_code == 0
    assert result.stdout.startswith("The message was refused.\n\nReference   ebebdad2-1.1\n")
    assert "Connection  The client ended the session with QUIT." in result.stdout


@pytest.mark.parametrize(
    "word", ["<1234@mail.example.org>", "1234@mail.example.org", "192.0.2.7", "192.0.2.0/24"]
)
def test_a_message_is_found_with_its_deliveries(run, ledger, word):
    result = run("explain", word)
    assert "The message was accepted." in result.stdout
    assert result.stdout.index("451 4.3.0 Temporary") < result.stdout.index("250 2.0.0 Saved")


def test_several_matches_are_listed_the_newest_first(run, ledger):
    result = run("explain", "203.0.113.9")
    lines = result.stdout.splitlines()
    assert [line.split()[1] for line in lines[:2]] == ["deferred", "refused"]
    assert lines[2:] == ["", "To see one: gatepost explain REFERENCE"]


def test_a_network_that_is_not_in_the_index_is_searched(run, ledger):
    assert "ebebdad2-4" in run("explain", "203.0.113.0/28").stdout
    assert "ebebdad2-2.1" in run("explain", "2001:db8::/32").stdout


def test_a_network_of_ipv6_is_found(run, ledger):
    assert "Reference   ebebdad2-2.1" in run("explain", "2001:db8:85a3::/48").stdout


def test_the_list_is_limited(run, ledger):
    result = run("explain", "example.com", "--limit", 2)
    lines = result.stdout.splitlines()
    assert [line for line in lines if "ebebdad2" in line] == lines[:2]
    assert lines[-1] == "There may be more: use a higher --limit than 2"


def test_json_has_the_records_and_the_explanation(run, ledger):
    (story,) = json.loads(run("explain", "ebebdad2-3.1", "--json").stdout)
    assert [one["kind"] for one in story["records"]] == ["transaction", "delivery", "delivery"]
    assert story["explanation"][0] == "The message was accepted."


def test_nothing_found_is_an_error_that_names_what_was_searched(run, ledger):
    result = run("explain", "nosuch-1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "gatepost: no record of nosuch-1: the ledger has 9 records since"
        " Sun 29 Nov 2026 08:59:59 +0100\n"
    )


def test_an_empty_ledger_is_an_error(run, configure):
    configure()
    FOLDER.mkdir(parents=True)
    result = run("explain", "nosuch-1")
    assert result.stderr == "gatepost: no record of nosuch-1: the ledger is empty\n"


def test_no_ledger_is_an_error(run, configure):
    configure("[ledger]", "enabled = false")
    result = run("explain", "nosuch-1")
    assert result.exit_code == 1
    assert "/var/ledger: no ledger: expected" in result.stderr
    assert result.stderr.endswith("gatepost: ledger.enabled is false in the configuration\n")


def test_a_text_that_names_nothing_is_wrong_usage(run, ledger):
    result = run("explain", "hello", "there")
    assert result.exit_code == 2
    assert result.stderr == (
        "gatepost: expected a reference, a Message-ID, an address, a domain, an IP address or a"
        " network, found 'hello there'\n"
    )


def test_a_damaged_segment_is_reported_and_skipped(run, ledger):
    (FOLDER / "99999999.sqlite").write_bytes(b"no database" * 1000)
    result = run("explain", "ebebdad2-1.1")
    assert result.exit_code == 0
    assert "gatepost: warning: " in result.stderr
    assert "99999999.sqlite" in result.stderr


def test_a_mail_that_was_refused_has_the_reference_of_its_connection(run, ledger):
    write(
        Transaction(MORNING, "s-1", "s-1", GOOD, "a@x.example", "deferred", "core", "storage"),
        Transaction(MORNING + 1, "s-1.1", "s-1", GOOD, "b@x.example", "accepted"),
    )
    result = run("explain", "s-1")
    assert result.stdout.startswith("The connection had 2 transactions.")
    assert "from <a@x.example> storage" in " ".join(result.stdout.split())
    assert "To see one" in run("explain", "x.example").stdout
