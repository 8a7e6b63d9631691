"""The trap table: which addresses are traps, and which entries are not armed."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.lists import patterns
from gatepost.lists.addresses import AddressList
from gatepost.model.address import Address, AddressError, domain_key, local_key, without_tag
from gatepost.model.session import TrapHit
from gatepost.traps.table import TrapTable, UnarmedReason


def entries(*lines, source="traps"):
    return AddressList.from_lines(lines, source)


def match(table, text, separator="+", now=0.0):
    address = Address.parse(text)
    user = without_tag(local_key(address.local), separator)
    return table.match(address, address.key, f"{user}@{domain_key(address.domain)}", now)


def test_a_hit_contains_the_entry_and_its_line():
    table = TrapTable([entries("# note", "Trap@Example.com since 2006")])
    assert match(table, "tRAP+x@EXAMPLE.com") == TrapHit(
        Address("tRAP+x", "EXAMPLE.com"), "Trap@Example.com", "since 2006", "traps", 2
    )


def test_an_address_without_an_entry_is_no_trap():
    assert match(TrapTable([entries("trap@example.com")]), "bob@example.com") is None
    assert match(TrapTable([]), "bob@example.com") is None


def test_lists_are_checked_in_order():
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
def test_every_spelling_of_a_mailbox_is_found(trap, recipient):
    assert match(TrapTable([entries(trap)]), recipient) is not None


def test_without_a_separator_a_tag_is_part_of_the_local_part():
    assert match(TrapTable([entries("trap@example.com")]), "trap+x@example.com", "") is None


@pytest.mark.parametrize(
    "recipient", ["postmaster@x.example", "Abuse@x.example", "abuse+a@x.example"]
)
@pytest.mark.parametrize("trap", ["postmaster@x.example", "abuse@x.example", "@x.example", "/@x/"])
def test_roles_are_never_traps(trap, recipient):
    assert match(TrapTable([entries(trap)]), recipient) is None


def test_the_postmaster_without_a_domain_is_never_a_trap():
    table = TrapTable([entries("/postmaster/")])
    assert table.match(Address("Postmaster", ""), "postmaster@", "postmaster@", 0) is None


@pytest.mark.parametrize("trap", ["bob@x.example", "@x.example", "/bob/"])
@pytest.mark.parametrize("recipient", ["bob@x.example", "Bob+tag@x.example"])
def test_known_recipients_are_never_traps(trap, recipient):
    table = TrapTable([entries(trap)], [entries("eve@x.example"), entries("bob@x.example")])
    assert match(table, recipient) is None


def test_an_entry_with_an_exempt_address_stays_armed_for_other_addresses():
    table = TrapTable([entries("@x.example")], [entries("bob@x.example")])
    assert match(table, "trap@x.example").entry == "@x.example"


def test_a_leaked_tag_of_a_known_recipient_is_armed():
    table = TrapTable([entries("bob+shop@x.example")], [entries("bob@x.example")])
    assert match(table, "bob+shop@x.example").entry == "bob+shop@x.example"
    assert match(table, "bob+other@x.example") is None


def test_a_leaked_tag_is_found_after_an_entry_that_is_not_armed():
    lists = [entries("bob@x.example"), entries("bob+shop@x.example", source="two")]
    assert match(TrapTable(lists, [entries("bob@x.example")]), "bob+shop@x.example").source == "two"


def test_a_known_tag_is_no_trap():
    table = TrapTable(
        [entries("bob+shop@x.example", "bob@x.example")], [entries("bob+shop@x.example")]
    )
    assert match(table, "bob+shop@x.example") is None
    assert match(table, "bob@x.example") is not None


def test_catch_all_entries_of_known_recipients_exempt_no_trap():
    known = entries("@x.example", "/x/")
    table = TrapTable([entries("trap@x.example")], [known])
    assert match(table, "trap@x.example") is not None
    assert table.unarmed_entries() == []


def test_each_look_up_uses_the_current_version():
    file = SimpleNamespace(current=entries("a@x.example"))
    table = TrapTable([file])
    assert match(table, "b@x.example") is None
    file.current = entries("b@x.example")
    assert match(table, "b@x.example") is not None
    assert match(table, "a@x.example") is None


def test_unarmed_entries_are_reported_with_their_reasons():
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


def test_the_report_does_not_depend_on_which_list_is_longer():
    traps = ["a@x.example", "b@x.example"]
    known = ["b@x.example", "@y.example"]
    many = [f"{n}@z.example" for n in range(9)]
    few_traps = TrapTable([entries(*traps)], [entries(*known, *many)])
    few_known = TrapTable([entries(*traps, *many)], [entries(*known[:1], "carol@q.example")])
    assert [str(u) for u in few_traps.unarmed_entries()] == [
        str(u) for u in few_known.unarmed_entries()
    ]
    assert len(few_traps.unarmed_entries()) == 1


@given(
    st.from_regex(r"[aA+.\"\\ é-]{1,6}@[aA.ü-]{1,4}", fullmatch=True), st.sampled_from(["", "+"])
)
def test_an_address_in_the_list_is_found_in_any_spelling(text, separator):
    try:
        address = Address.parse(text)
    except AddressError:
        return
    table = TrapTable([entries(text)])
    armed = bool(address.local) and text[0] not in "#/@"
    assert (match(table, text, separator) is not None) is armed


@pytest.mark.parametrize(
    "address", ["trap@x.example", "b@y.example", "first@z.example", "no@z.example"]
)
def test_a_hit_searches_as_many_patterns_as_a_miss(address, monkeypatch):
    searched = []
    any_of = patterns._any_of

    def counting(members):
        search = any_of(members).search
        return SimpleNamespace(search=lambda key: searched.append(len(members)) or search(key))

    monkeypatch.setattr(patterns, "_any_of", counting)
    monkeypatch.setattr(patterns, "_GROUP", 1)
    lines = ["/^first/", "/^second/"]
    one = entries("trap@x.example", "@y.example", *lines)
    match(TrapTable([one, entries(*lines, source="two")]), address)
    assert searched == [1] * 4
