"""`gatepost traps add|arm|shadow|retire|exempt|explain|list` for registered traps."""

import json
import time

import pytest
from tests.cli.ledgers import write

from gatepost.ledger.records import Client, RecipientRecord, Transaction, Trap
from gatepost.registry.file import FileRegistry

TRAP = "kim.larsen@example.com"
NOW = time.time()


def record(**fields):
    return Transaction(NOW - 60, "5f2c81d0-1.1", "5f2c81d0-1", Client("192.0.2.1"), **fields)


def good_mail(to):
    return record(
        sender="friend@client.example", result="accepted", recipients=[RecipientRecord(to)]
    )


def hit(address):
    return record(
        sender="spammer@client.example",
        result="refused",
        recipients=[RecipientRecord(address)],
        traps=[Trap(address, address, "registry", 1)],
    )


@pytest.fixture
def site(configure, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "al ice")
    return configure(
        "[server]",
        'hostname = "mx.example.com"',
        'data_dir = "var"',
        "[recipients]",
        'domains = ["example.com"]',
        'known = ["bob@example.com"]',
        "[traps]",
        "lists = []",
    )


def registered(site):
    registry = FileRegistry(site / "var")
    registry.list.load()
    return {one.entry: one for one in registry.traps()}


def test_add_registers_a_trap_with_its_author_and_its_reason(run, site):
    result = run("traps", "add", "Kim.Larsen@Example.com", "--note", "on the press page")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{TRAP} added to the registry, armed\n"
    [trap] = registered(site).values()
    assert (trap.entry, trap.state, trap.trap_class) == (TRAP, "armed", "pristine")
    assert (trap.by, trap.reason) == ("al-ice", "on the press page")
    assert run("traps", "test", TRAP).exit_code == 0


def test_a_trap_is_added_with_class_state_and_expiry(run, site):
    words = ("--class", "seeded", "--state", "shadow", "--expires", "2100-01-31", "--spoil")
    assert run("traps", "add", TRAP, *words).exit_code == 0
    line = (site / "var" / "registry").read_text()
    assert line.startswith(f"{TRAP} class=seeded spoil=yes expires=2100-01-31 by=al-ice at=")
    assert line.endswith(" state=shadow\n")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("bob@example.com", "it is a known recipient"),
        ("bobb@example.com", "it is one typing error away from bob@example.com"),
        ("abuse@example.com", "it is a role address (RFC 2142)"),
    ],
)
def test_what_looks_like_a_mailbox_is_armed_only_with_force(run, site, address, why):
    result = run("traps", "add", address)
    assert result.exit_code == 1
    assert result.stderr == (
        f"gatepost: {address} is not armed: {why}\n"
        "gatepost: use the state shadow to watch it, or --force\n"
    )
    assert registered(site) == {}
    assert run("traps", "add", address, "--state", "shadow").exit_code == 0
    assert run("traps", "arm", address).exit_code == 1
    assert registered(site)[address].state == "shadow"
    assert run("traps", "arm", address, "--force").exit_code == 0
    assert registered(site)[address].state == "armed"


def test_an_address_with_good_mail_is_armed_only_with_force(run, site):
    write(good_mail(TRAP))
    result = run("traps", "add", TRAP)
    assert result.exit_code == 1
    assert "1 messages to it were accepted in the last 30 days" in result.stderr
    assert run("traps", "add", TRAP, "--force").exit_code == 0


def test_states_are_changed_with_a_reason_and_stay_in_the_history(run, site):
    run("traps", "add", TRAP)
    for command in ("shadow", "arm", "retire"):
        result = run("traps", command, TRAP, "--reason", f"to {command}")
        assert (result.exit_code, result.stderr) == (0, "")
    history = FileRegistry(site / "var").history(TRAP)
    assert [(one.state, one.reason) for one in history] == [
        ("armed", ""),
        ("shadow", "to shadow"),
        ("armed", "to arm"),
        ("retired", "to retire"),
    ]
    assert run("traps", "test", TRAP).exit_code == 1


def test_a_state_that_a_trap_has_already_is_an_error(run, site):
    run("traps", "add", TRAP)
    result = run("traps", "arm", TRAP)
    assert (result.exit_code, result.stderr) == (1, f"gatepost: {TRAP} is already armed\n")


@pytest.mark.parametrize("command", [("arm",), ("shadow",), ("retire",)])
def test_a_trap_that_is_not_registered_is_an_error(run, site, command):
    result = run("traps", *command, TRAP)
    assert result.exit_code == 1
    expected = f"gatepost: {TRAP} is not in the registry: gatepost traps add registers it\n"
    assert result.stderr == expected


def test_exempt_adds_a_domain(run, site):
    run("traps", "add", TRAP)
    result = run("traps", "exempt", TRAP, "Partner.example", "--json")
    assert json.loads(result.stdout)[0]["exempt"] == ["partner.example"]
    assert registered(site)[TRAP].exempt == ("partner.example",)


def test_remove_retires_a_registered_trap(run, site):
    run("traps", "add", TRAP)
    assert run("traps", "remove", TRAP).stdout == f"{TRAP} retired in the registry\n"
    result = run("traps", "remove", TRAP)
    assert (result.exit_code, result.stderr) == (1, f"gatepost: {TRAP} is not in any list\n")


def test_list_filters_by_class_state_and_text(run, site):
    run("traps", "add", TRAP, "--class", "seeded", "--note", "press page")
    run("traps", "add", "pat.moore@example.com", "--state", "shadow")
    run("traps", "add", "@old.example")
    run("traps", "retire", "@old.example")

    def names(*options):
        return [one["trap"] for one in json.loads(run("traps", "list", "--json", *options).stdout)]

    assert names() == [TRAP, "pat.moore@example.com", "@old.example"]
    assert names("--class", "seeded") == [TRAP]
    assert names("--state", "shadow") == ["pat.moore@example.com"]
    assert names("--match", "PRESS") == [TRAP]
    assert names("--state", "retired", "--registered") == ["@old.example"]
    text = run("traps", "list", "--state", "retired").stdout
    assert text.startswith("registry  @old.example  [pristine]  [not armed: retired]  (al-ice, ")
    assert "  [seeded]  press page  (al-ice, " in run("traps", "list", "--class", "seeded").stdout


def test_explain_prints_the_state_the_history_and_the_hits(run, site):
    run("traps", "add", TRAP, "--class", "learned", "--state", "shadow", "--note", "often seen")
    run("traps", "exempt", TRAP, "partner.example")
    write(hit(TRAP))
    lines = run("traps", "explain", TRAP).stdout.splitlines()
    assert lines[0] == (
        f"{TRAP}: a trap by {TRAP} in {site}/var/registry:2, class learned, in shadow: hits are"
        " only recorded, exempt: partner.example, it has an effect only while the address is known"
        " not to exist"
    )
    assert lines[1].endswith("shadow, learned, by al-ice, reason: often seen")
    assert lines[2].endswith("shadow, learned, by al-ice, exempt: partner.example")
    assert lines[3] == "  hits on record: 1"
    assert lines[4].endswith("refused, sender spammer@client.example, ref 5f2c81d0-1.1")
    found = json.loads(run("traps", "explain", TRAP, "--json").stdout)
    assert (found["trap"], found["class"], len(found["history"])) == (True, "learned", 2)


def test_explain_prints_why_an_address_should_not_be_a_trap(run, site):
    text = run("traps", "explain", "bobb@example.com").stdout
    assert "bobb@example.com: not a trap\n" in text
    assert "careful: it is one typing error away from bob@example.com\n" in text


def test_a_data_folder_that_cannot_be_written_is_an_error(run, site):
    (site / "var").write_text("")
    result = run("traps", "add", TRAP)
    assert result.exit_code == 1
    assert result.stderr.startswith("gatepost: var: ") or "var" in result.stderr


def test_an_expiry_that_is_no_day_is_wrong_usage(run, site):
    result = run("traps", "add", TRAP, "--expires", "soon")
    assert result.exit_code == 2
    assert "expected a date such as" in result.stderr
