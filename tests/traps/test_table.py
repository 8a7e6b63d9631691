"""The trap table: what is a trap, and what is not armed."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.lists.addresses import AddressList
from gatepost.model.address import Address, AddressError, without_tag
from gatepost.model.session import TrapHit
from gatepost.traps.table import TrapTable, UnarmedReason


def entries(*lines, source="traps"):
    return AddressList.from_lines(lines, source)


def match(table, text, separator="+"):
    address = Address.parse(text)
    return table.match(address, without_tag(address.local.lower(), separator))


def test_a_hit_names_the_entry():
    table = TrapTable([entries("# note", "Trap@Example.com since 2006")])
    assert match(table, "tRAP+x@EXAMPLE.com") == TrapHit(
        Address("tRAP+x", "EXAMPLE.com"), "Trap@Example.com", "since 2006", "traps", 2
    )


def test_a_miss():
    assert match(TrapTable([entries("trap@example.com")]), "bob@example.com") is None
    assert match(TrapTable([]), "bob@example.com") is None


def test_lists_are_asked_in_order():
    table = TrapTable([entries("a@x.example"), entries("a@x.example", "@x.example", source="two")])
    assert match(table, "a@x.example").source == "traps"
    assert match(table, "b@x.example").source == "two"


@pytest.mark.parametrize(
    ("trap", "recipient"),
    [
        ('"Trap"@Example.COM', "trap@example.com"),
        ("trap@example.com", '"tr\\ap"@example.com'),
        ("trap@bücher.example", "trap@xn--bcher-kva.example"),
        ("trap@xn--bcher-kva.example", "trap@BÜCHER.example"),
        ("trap@[192.0.2.1]", "trap@[192.0.2.1]"),
        ("bob+shop@example.com", "Bob+Shop@example.com"),
        ("/^trap@/", "trap+x@example.com"),
    ],
)
def test_spellings_of_one_mailbox(trap, recipient):
    assert match(TrapTable([entries(trap)]), recipient) is not None


def test_without_a_separator_a_tag_is_part_of_the_name():
    assert match(TrapTable([entries("trap@example.com")]), "trap+x@example.com", "") is None


@pytest.mark.parametrize(
    "recipient", ["postmaster@x.example", "Abuse@x.example", "abuse+a@x.example"]
)
@pytest.mark.parametrize("trap", ["postmaster@x.example", "abuse@x.example", "@x.example", "/@x/"])
def test_roles_are_never_traps(trap, recipient):
    assert match(TrapTable([entries(trap)]), recipient) is None


def test_the_postmaster_without_a_domain_is_never_a_trap():
    assert (
        TrapTable([entries("/postmaster/")]).match(Address("Postmaster", ""), "postmaster") is None
    )


@pytest.mark.parametrize("trap", ["bob@x.example", "@x.example", "/bob/"])
@pytest.mark.parametrize("recipient", ["bob@x.example", "Bob+tag@x.example"])
def test_known_addresses_are_never_traps(trap, recipient):
    table = TrapTable([entries(trap)], [entries("eve@x.example"), entries("bob@x.example")])
    assert match(table, recipient) is None


def test_an_entry_that_spares_stays_armed_for_the_rest():
    table = TrapTable([entries("@x.example")], [entries("bob@x.example")])
    assert match(table, "trap@x.example").entry == "@x.example"


def test_a_leaked_tag_of_a_known_address_is_armed():
    table = TrapTable([entries("bob+shop@x.example")], [entries("bob@x.example")])
    assert match(table, "bob+shop@x.example").entry == "bob+shop@x.example"
    assert match(table, "bob+other@x.example") is None


def test_a_leaked_tag_is_found_behind_an_entry_that_spares():
    lists = [entries("bob@x.example"), entries("bob+shop@x.example", source="two")]
    assert match(TrapTable(lists, [entries("bob@x.example")]), "bob+shop@x.example").source == "two"


def test_a_known_tag_is_no_trap():
    table = TrapTable(
        [entries("bob+shop@x.example", "bob@x.example")], [entries("bob+shop@x.example")]
    )
    assert match(table, "bob+shop@x.example") is None
    assert match(table, "bob@x.example") is not None


def test_a_catch_all_domain_does_not_disarm():
    known = entries("@x.example", "/x/")
    table = TrapTable([entries("trap@x.example")], [known])
    assert match(table, "trap@x.example") is not None
    assert table.unarmed_entries() == []


def test_the_version_in_force_is_asked_each_time():
    file = SimpleNamespace(current=entries("a@x.example"))
    table = TrapTable([file])
    assert match(table, "b@x.example") is None
    file.current = entries("b@x.example")
    assert match(table, "b@x.example") is not None
    assert match(table, "a@x.example") is None


def test_the_report():
    traps = entries("trap@x.example", "bob@x.example", "Abuse@y.example", "@x.example")
    more = entries('"post\\master"@x.example', "/postmaster/", source="more")
    table = TrapTable([traps, more], [entries("bob@x.example", "abuse@y.example", "/trap/")])
    report = table.unarmed_entries()
    assert [str(unarmed) for unarmed in report] == [
        "traps:2: bob@x.example is not armed: it is a known recipient",
        "traps:3: Abuse@y.example is not armed: it is a role address (RFC 2142)",
        'more:1: "post\\master"@x.example is not armed: it is a role address (RFC 2142)',
    ]
    assert [unarmed.reason for unarmed in report] == [
        UnarmedReason.KNOWN,
        UnarmedReason.ROLE,
        UnarmedReason.ROLE,
    ]


def test_the_report_is_the_same_whichever_list_is_longer():
    traps = ["a@x.example", "b@x.example"]
    known = ["b@x.example", "@y.example"]
    many = [f"{n}@z.example" for n in range(9)]
    few_traps = TrapTable([entries(*traps)], [entries(*known, *many)])
    few_known = TrapTable([entries(*traps, *many)], [entries(*known[:1], "nobody@q.example")])
    assert [str(u) for u in few_traps.unarmed_entries()] == [
        str(u) for u in few_known.unarmed_entries()
    ]
    assert len(few_traps.unarmed_entries()) == 1


@given(
    st.from_regex(r"[aA+.\"\\ é-]{1,6}@[aA.ü-]{1,4}", fullmatch=True), st.sampled_from(["", "+"])
)
def test_an_address_in_the_list_is_found_however_it_is_spelt(text, separator):
    try:
        address = Address.parse(text)
    except AddressError:
        return
    table = TrapTable([entries(text)])
    armed = bool(address.local) and text[0] not in "#/@"
    assert (match(table, text, separator) is not None) is armed
